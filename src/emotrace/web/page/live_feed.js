// The camera and the connection to the server: one picture out, one answer in.

const MOST_WIDE = 640;
const QUALITY = 0.8;
const ANSWER_MS = 15_000;

/** Why there is no camera, in words that say what to do. */
export function cameraWords(error) {
  const words = {
    NotAllowedError: "The browser may not use the camera. Allow it for this page (most browsers: the sign left of the address), then start again.",
    SecurityError: "The browser may not use the camera on this page.",
    NotFoundError: "No camera was found. Plug one in or switch it on, then start again.",
    OverconstrainedError: "This camera is not there any more. Choose another one, then start again.",
    NotReadableError: "The camera cannot be read. Another program may be using it: close that, then start again.",
    AbortError: "The camera stopped while it started. Start again.",
  };
  return words[error.name] ?? `The camera could not be started (${error.message || error.name}).`;
}

export const NOT_SECURE =
  "Browsers give the camera only to pages on localhost or with https. Open this page on the computer on which emotrace runs, " +
  "under an address that begins with http://localhost, or let an https server stand in front of it.";

export class LiveFeed {
  /**
   * `on` = {answer(answer, delayMs), problem(words), end(words)}: an answer to a picture; something
   * wrong with one picture; the end of it all.
   */
  constructor(video, on) {
    Object.assign(this, { video, on });
    this.canvas = document.createElement("canvas");
    this.stream = null;
    this.socket = null;
    this.run = 0;
  }

  get isOn() { return this.stream !== null; }

  /** Start camera and connection; throws what getUserMedia throws. */
  async start(deviceId, now) {
    this.stop();
    const run = this.run;
    const wish = { width: { ideal: 640 }, height: { ideal: 480 }, ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" }) };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
    if (run !== this.run) {
      // Stopped while the user was being asked.
      stream.getTracks().forEach((track) => track.stop());
      return false;
    }
    this.stream = stream;
    this.now = now;
    stream.getVideoTracks()[0].addEventListener("ended", () => { if (run === this.run) this.#end("The camera was switched off or unplugged."); });
    this.video.srcObject = stream;
    await this.video.play().catch(() => { /* a stop while it starts */ });
    if (run === this.run) this.#connect(run);
    return run === this.run;
  }

  stop() {
    this.run += 1;
    clearTimeout(this.alarm);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  #end(words) {
    this.stop();
    this.on.end(words);
  }

  #connect(run) {
    const address = new URL("api/live", document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    const socket = new WebSocket(address.href);
    this.socket = socket;
    this.lastProblem = null;
    let wasOpen = false;
    const isMine = () => run === this.run;
    socket.addEventListener("open", () => { wasOpen = true; if (isMine()) this.#send(run); });
    socket.addEventListener("message", (event) => { if (isMine()) this.#take(run, event.data); });
    socket.addEventListener("close", (event) => {
      if (!isMine()) return;
      if (event.code === 1013) this.#end(`There is no room for another live view: ${(event.reason || "too many are open; close another one first").replace(/\.$/, "")}.`);
      else if (this.lastProblem) this.#end(this.lastProblem);
      else if (!wasOpen) this.#end("emotrace did not take up the live connection. Is it still running?");
      else this.#end(event.reason || "The connection to emotrace broke off. Start again.");
    });
  }

  async #send(run) {
    await this.#nextPicture();
    if (run !== this.run) return;
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) { setTimeout(() => { if (run === this.run) this.#send(run); }, 50); return; }
    const scale = Math.min(1, MOST_WIDE / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    const timestamp = this.now();
    const blob = await new Promise((resolve) => { this.canvas.toBlob(resolve, "image/jpeg", QUALITY); });
    if (run !== this.run || this.socket?.readyState !== WebSocket.OPEN) return;
    if (!blob) { this.#end("The browser could not read the camera's picture."); return; }
    this.sentAt = performance.now();
    this.socket.send(JSON.stringify({ timestamp: Math.round(timestamp * 1000) / 1000 }));
    this.socket.send(blob);
    clearTimeout(this.alarm);
    this.alarm = setTimeout(() => { if (run === this.run) this.#end("emotrace did not answer for a while. Start again."); }, ANSWER_MS);
  }

  /** Wait for a picture that has not been sent yet. */
  #nextPicture() {
    return new Promise((resolve) => {
      // The camera may stop giving pictures; then the last one is sent again.
      const timer = setTimeout(resolve, 250);
      const done = () => { clearTimeout(timer); resolve(); };
      if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
  }

  #take(run, text) {
    clearTimeout(this.alarm);
    let answer = null;
    try { answer = JSON.parse(text); } catch { /* said below */ }
    if (!answer) this.on.problem("An answer from emotrace could not be read.");
    else if (answer.error) {
      // The connection may be closed right after; then this is why.
      this.lastProblem = answer.error;
      this.on.problem(answer.error);
    } else {
      this.lastProblem = null;
      this.on.answer(answer, performance.now() - this.sentAt);
    }
    if (run === this.run) this.#send(run);
  }
}
