// The video (or picture) of a job, with boxes laid over exactly the frame that is shown.

import { clock, make } from "./core.js";
import { coverPicture, drawFaces, prepare } from "./draw.js";

const UNPLAYABLE = "This browser cannot play the video. The timeline and the tables work all the same. ";
const HINT =
  "To watch it here, analyse it again with “Also make an annotated video” switched on in the settings: that copy plays in every browser.";
/** Decoders read ahead: an error comes a few frames before the damage is reached. */
const BACK_FRAMES = 6;
const UNSENT = "The server does not send the video any more. Is emotrace still running? Open the video anew when it is.";
const NO_MEDIA = "There is no video to show. The timeline and the tables work all the same.";

export class Player {
  /** `onTime(time, frame)` is called whenever another frame is shown. */
  constructor(stage, job, model, info, onTime) {
    Object.assign(this, { stage, job, model, info, onTime });
    this.time = model.start;
    this.frame = 0;
    this.chosen = null;
    this.target = null;
    this.isPlayable = false;
    /** The last frame that is known to play. */
    this.limit = Infinity;
    this.back = BACK_FRAMES;
    this.gone = new AbortController();
    this.canvas = make("canvas", { id: "overlay", "aria-hidden": "true" });
    this.note = make("p", { class: "stage-note", id: "media-note", role: "status", hidden: true });
    this.media = this.#makeMedia();
    stage.replaceChildren(...[this.media, this.canvas, this.note].filter(Boolean));
    stage.style.aspectRatio = `${model.width} / ${model.height}`;
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(stage);
    if (!this.media) this.#giveUp(NO_MEDIA);
  }

  destroy() {
    this.gone.abort();
    this.watcher.disconnect();
    if (this.isVideo) {
      this.media.pause();
      this.media.removeAttribute("src");
      this.media.load();
    }
    this.stage.replaceChildren();
  }

  get isVideo() { return this.media instanceof HTMLVideoElement; }

  get isPlaying() { return this.isVideo && this.isPlayable && !this.media.paused && !this.media.ended; }

  #makeMedia() {
    const { signal } = this.gone;
    const source = `api/jobs/${encodeURIComponent(this.job.id)}/media`;
    if (this.job.show === "picture") {
      const picture = make("img", { id: "media", alt: "The picture, with boxes and predictions drawn in" });
      picture.addEventListener("error", () => this.#giveUp("The picture cannot be shown. The tables work all the same."), { signal });
      picture.src = source;
      return picture;
    }
    if (!this.job.show) return null;
    const video = make("video", {
      id: "media", controls: true, playsinline: true, preload: "auto", controlslist: "nofullscreen",
      disablepictureinpicture: true, "aria-label": this.job.name,
    });
    const listen = (name, listener) => video.addEventListener(name, listener, { signal });
    listen("error", () => {
      const hasPlayed = this.isPlayable;
      this.isPlayable = false;
      if (hasPlayed && video.error?.code === MediaError.MEDIA_ERR_DECODE) this.#goBack();
      else this.#giveUp(hasPlayed || this.limit < Infinity ? UNSENT : this.#unplayable());
    });
    for (const name of ["play", "pause", "ended"]) listen(name, () => this.stage.dispatchEvent(new CustomEvent("playable")));
    listen("loadedmetadata", () => {
      // A file of which the browser plays only the sound has no picture.
      if (!video.videoWidth) { this.#giveUp(this.#unplayable()); return; }
      this.isPlayable = true;
      this.stage.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
      this.draw();
      // A place that was chosen before the video was there.
      if (this.frame > 0) this.#seekMedia(this.frame);
    });
    listen("loadeddata", () => this.draw());
    listen("seeked", () => {
      this.back = BACK_FRAMES;
      if (this.target !== null) {
        const frame = this.target;
        this.target = null;
        this.#seekMedia(frame);
      } else this.#follow(video.currentTime);
    });
    if ("requestVideoFrameCallback" in video) {
      const next = (_, { mediaTime }) => {
        if (signal.aborted) return;
        if (this.target === null && !video.seeking) this.#follow(mediaTime);
        video.requestVideoFrameCallback(next);
      };
      video.requestVideoFrameCallback(next);
    } else {
      const tick = () => {
        if (signal.aborted || video.paused || video.ended) return;
        this.#follow(video.currentTime);
        requestAnimationFrame(tick);
      };
      listen("play", tick);
      listen("pause", () => this.#follow(video.currentTime));
    }
    video.src = source;
    return video;
  }

  /** Where a damaged file cannot be decoded any further, stay before that place. */
  #goBack() {
    this.limit = Math.max(0, this.frame - this.back);
    // Where that is still too far, a larger step is next.
    this.back *= 2;
    this.target = null;
    this.media.load();
    this.#set(this.limit);
    this.note.textContent = `The file is damaged: this browser cannot play it beyond ${clock(this.model.times[this.limit])}. The timeline goes on.`;
    this.note.classList.add("over");
    this.note.hidden = false;
    this.stage.dispatchEvent(new CustomEvent("playable"));
  }

  #unplayable() {
    const hasCopy = this.job.files.some((file) => file.name === "annotated.mp4");
    return UNPLAYABLE + (hasCopy ? "Its annotated copy, annotated.mp4, is among the results below." : HINT);
  }

  #giveUp(words) {
    this.isPlayable = false;
    this.limit = Infinity;
    this.note.classList.remove("over");
    this.note.textContent = words;
    this.note.hidden = false;
    if (this.media) this.media.hidden = true;
    this.canvas.hidden = true;
    this.stage.classList.add("empty");
    this.onTime(this.time, this.frame);
    this.stage.dispatchEvent(new CustomEvent("playable"));
  }

  /** Take over the time that the player shows. */
  #follow(mediaTime) {
    this.#set(this.model.frameAt(mediaTime));
    if (this.frame >= this.limit && !this.media.paused) this.media.pause();
  }

  #set(frame) {
    this.frame = frame;
    if (this.limit < Infinity) this.note.hidden = frame < this.limit;
    this.time = this.model.times[frame] ?? this.model.start;
    this.draw();
    this.onTime(this.time, frame);
  }

  seek(time) { if (this.model.times.length) this.seekFrame(this.model.frameAt(time)); }

  /** Show a frame. While the player is still on its way to one, only the latest wish is kept. */
  seekFrame(frame) {
    const wanted = Math.max(0, Math.min(this.model.times.length - 1, frame));
    if (wanted < 0 || !this.model.times.length) return;
    this.#set(wanted);
    if (!this.isVideo || !this.isPlayable) return;
    if (wanted > this.limit) {
      this.target = null;
      this.media.pause();
      return;
    }
    if (this.media.seeking) this.target = wanted;
    else this.#seekMedia(wanted);
  }

  #seekMedia(frame) {
    // A little into the frame, so that rounding does not give the one before.
    const { times } = this.model;
    const into = Math.min(0.02, (this.model.endOf(frame) - times[frame]) / 2);
    this.media.currentTime = Math.max(0, times[frame] + into);
  }

  step(frames) {
    if (this.isVideo) this.media.pause();
    this.seekFrame(this.frame + frames);
  }

  toggle() {
    if (!this.isVideo || !this.isPlayable) return;
    if (this.media.paused) this.media.play().catch(() => { /* the player says why */ });
    else this.media.pause();
  }

  draw() {
    if (this.job.show !== "original" || !this.isPlayable || !this.stage.clientWidth) return;
    const { width, height } = coverPicture(this.canvas, this.stage, this.media.videoWidth, this.media.videoHeight);
    const context = prepare(this.canvas, width, height);
    // Boxes wait for the picture that they are about, and stay away where there is none.
    if (this.frame > this.limit) return;
    if (this.media.readyState < HTMLMediaElement.HAVE_CURRENT_DATA && !this.media.seeking) return;
    drawFaces(context, width, height, this.model, this.model.facesAt(this.frame), this.info, { chosen: this.model.faces.length > 1 ? this.chosen : null });
  }
}
