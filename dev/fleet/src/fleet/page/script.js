(() => {
  "use strict";
  for (const event of ["beforeprint", "afterprint"]) {
    const open = event === "beforeprint";
    addEventListener(event, () => { for (const one of document.querySelectorAll(".readings, .judged details")) one.open = open; });
  }
  const audio = document.getElementById("sound");
  if (!audio) return;
  audio.removeAttribute("controls");
  const seek = document.getElementById("seek");
  const play = document.getElementById("play");
  const now = document.getElementById("now");
  const head = document.querySelector(".head");
  const length = Number(seek.max);
  const turns = [...document.querySelectorAll(".turn")];
  const starts = turns.map((turn) => Number(turn.dataset.start));
  const chapters = [...document.querySelectorAll(".chapters li")];
  const bands = [...document.querySelectorAll(".band")];
  let shown = -2;

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const turnAt = (seconds) => starts.findLastIndex((start) => start <= seconds + 0.01);

  function mark(index) {
    if (index === shown) return;
    shown = index;
    for (const list of [turns, chapters]) {
      list.forEach((one, i) => (i === index ? one.setAttribute("aria-current", "true") : one.removeAttribute("aria-current")));
    }
    for (const band of bands) band.classList.toggle("now", band.id.startsWith(`b${index}-`));
  }

  function show() {
    const at = Math.min(audio.currentTime, length);
    const index = turnAt(at);
    seek.value = at;
    seek.setAttribute("aria-valuetext", `${clock(at)} of ${clock(length)}${index < 0 ? "" : `, ${turns[index].querySelector("h3").textContent}`}`);
    head.style.left = `${(at / length) * 100}%`;
    now.textContent = clock(at);
    mark(audio.paused && at === 0 ? -1 : index);
  }

  function follow() {
    show();
    if (!audio.paused) requestAnimationFrame(follow);
  }

  function go(seconds, start) {
    audio.currentTime = Math.max(0, Math.min(seconds, length - 0.01));
    show();
    if (start) begin();
  }

  // The recording has the caller on the left and the agent on the right. Heard together they stand side by side rather
  // than one in each ear; heard alone, one is in the middle.
  const LEVELS = { both: [[1, 0.45], [0.45, 1]], caller: [[1, 1], [0, 0]], agent: [[0, 0], [1, 1]] };
  let gains = null;
  let context = null;

  function mix() {
    context = new AudioContext();
    const splitter = context.createChannelSplitter(2);
    const merger = context.createChannelMerger(2);
    context.createMediaElementSource(audio).connect(splitter);
    gains = [0, 1].map((side) => [0, 1].map((ear) => {
      const gain = context.createGain();
      splitter.connect(gain, side);
      gain.connect(merger, 0, ear);
      return gain;
    }));
    merger.connect(context.destination);
    level();
  }

  function level() {
    const levels = LEVELS[document.querySelector("[name=side]:checked").value];
    if (gains) gains.forEach((ears, side) => ears.forEach((gain, ear) => { gain.gain.value = levels[side][ear]; }));
  }

  function begin() {
    if (!context) mix();
    context.resume();
    audio.play();
  }

  function toggle() {
    if (audio.paused) begin();
    else audio.pause();
  }

  function changed() {
    play.classList.toggle("on", !audio.paused);
    play.firstElementChild.textContent = audio.paused ? "Play" : "Pause";
    follow();
  }

  play.addEventListener("click", toggle);
  seek.addEventListener("input", () => go(Number(seek.value), false));
  for (const radio of document.querySelectorAll("[name=side]")) radio.addEventListener("change", level);
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, changed);
  audio.addEventListener("seeked", show);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    if (button) go(Number(button.dataset.seek), true);
  });

  const jump = (by) => { const to = turnAt(audio.currentTime) + by; if (to in starts) go(starts[to], false); };
  const keys = {
    " ": toggle,
    ArrowLeft: (event) => go(audio.currentTime - (event.shiftKey ? 10 : 2), false),
    ArrowRight: (event) => go(audio.currentTime + (event.shiftKey ? 10 : 2), false),
    "[": () => jump(-1),
    "]": () => jump(1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    // A button's own Space, and a choice's own arrows, stay theirs.
    if (event.target.closest("button, summary, a, [type=radio]") && [" ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    keys[event.key](event);
  });
  show();
})();
