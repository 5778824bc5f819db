// Mouse, touch and wheel on the timeline: seek, choose a face, zoom, move the window.

export function attachPointers(timeline, signal) {
  const { area, pan } = timeline;
  const fingers = new Map();
  let pinch = null;
  let start = null;
  let hasPinched = false;

  const place = (event) => {
    const rect = area.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  const seek = (x) => {
    const { left, plotWidth } = timeline;
    timeline.on.seek(timeline.time(Math.max(left, Math.min(x, left + plotWidth))));
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { gap: Math.max(12, Math.abs(a.x - b.x)), middle: (a.x + b.x) / 2 };
  };

  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = place(event);
    // A press on the lanes' own scroll bar is not for the timeline.
    if (at.x > timeline.width) return;
    fingers.set(event.pointerId, at);
    if (fingers.size === 2) {
      const { gap, middle } = spread();
      pinch = { gap, time: timeline.time(middle), span: timeline.to - timeline.from };
      timeline.isDragging = false;
      hasPinched = true;
      return;
    }
    if (fingers.size > 2) return;
    start = at;
    const face = timeline.faceAt(at.y);
    if (face) timeline.on.face(face.id);
    // A touch may become a scroll of the page: it seeks when it is lifted or moved sideways.
    if (at.x >= timeline.left - 4 && event.pointerType !== "touch") {
      timeline.isDragging = true;
      area.setPointerCapture(event.pointerId);
      seek(at.x);
    }
  }, { signal });

  area.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, at);
    if (pinch && fingers.size === 2) {
      const { gap, middle } = spread();
      const span = (pinch.span * pinch.gap) / gap;
      const share = (middle - timeline.left) / timeline.plotWidth;
      timeline.show(pinch.time - span * share, pinch.time + span * (1 - share));
      return;
    }
    if (hasPinched) return;
    if (event.pointerType === "touch" && start && fingers.size === 1 && Math.abs(at.x - start.x) > 8) timeline.isDragging = true;
    if (timeline.isDragging) seek(at.x);
    timeline.setHover(at.x, at.y);
  }, { signal });

  const lift = (event) => {
    const wasThere = fingers.delete(event.pointerId);
    const at = place(event);
    if (wasThere && event.type === "pointerup" && event.pointerType === "touch" && !hasPinched && !timeline.isDragging && at.x >= timeline.left) seek(at.x);
    if (fingers.size < 2) pinch = null;
    if (!fingers.size) {
      timeline.isDragging = false;
      hasPinched = false;
      start = null;
      if (event.pointerType === "touch") timeline.setHover(null);
    }
  };
  area.addEventListener("pointerup", lift, { signal });
  area.addEventListener("pointercancel", lift, { signal });
  area.addEventListener("pointerleave", () => { if (!timeline.isDragging) timeline.setHover(null); }, { signal });

  // A wheel turn that began as scrolling the page goes on scrolling it.
  let lastWheel = 0;
  let isScrolling = false;
  window.addEventListener("wheel", (event) => {
    const isNew = event.timeStamp - lastWheel > 250;
    lastWheel = event.timeStamp;
    const isInside = area.contains(event.target);
    if (isNew) isScrolling = !isInside;
    if (!isInside || (isScrolling && !event.ctrlKey)) return;
    const { x, y } = place(event);
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const span = timeline.to - timeline.from;
    if (isSideways) {
      if (!timeline.isZoomed) return;
      const by = ((event.deltaX || event.deltaY) / timeline.plotWidth) * span;
      timeline.show(timeline.from + by, timeline.from + by + span);
    } else {
      // Many lanes scroll; and where there is nothing left to zoom out of, the page does.
      const hasScrollingLanes = timeline.lanes.scrollHeight > timeline.lanes.clientHeight + 1;
      if (!event.ctrlKey && hasScrollingLanes && y < timeline.lanesHeight) return;
      if (event.deltaY > 0 && !timeline.isZoomed) {
        if (!event.ctrlKey) { isScrolling = true; return; }
      } else {
        const lines = event.deltaMode === 1 ? 16 : 1;
        timeline.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.0025)), timeline.time(x));
      }
    }
    event.preventDefault();
    timeline.setHover(x, y);
  }, { signal, passive: false });

  let grip = null;
  const panTo = (event) => {
    const rect = pan.getBoundingClientRect();
    const { model } = timeline;
    const time = model.start + ((event.clientX - rect.left) / rect.width) * (model.end - model.start);
    const span = timeline.to - timeline.from;
    if (grip === null) grip = time >= timeline.from && time <= timeline.to ? time - timeline.from : span / 2;
    timeline.show(time - grip, time - grip + span);
  };
  pan.addEventListener("pointerdown", (event) => { pan.setPointerCapture(event.pointerId); grip = null; panTo(event); }, { signal });
  pan.addEventListener("pointermove", (event) => { if (pan.hasPointerCapture(event.pointerId)) panTo(event); }, { signal });
}
