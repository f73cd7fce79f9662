// The case viewer. Its volumes lie in the page; NiiVue draws them. Where WebGL 2 is missing nothing is shown here
// and the pictures of the page stand for themselves.
(async () => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const root = byId("viewer");
  const canvas = byId("viewer-canvas");
  if (!document.createElement("canvas").getContext("webgl2")) return;

  const cases = JSON.parse(byId("viewer-cases").textContent);
  const [caseList, windowList, slice, place] =
    ["viewer-case", "viewer-window", "viewer-slice", "viewer-place"].map(byId);
  const overlays = [...root.querySelectorAll("[data-overlay]")];
  const colors = { reference: [41, 196, 255], prediction: [255, 160, 46] };
  const OPACITY = 0.7;

  root.hidden = false;
  const viewer = new niivue.Niivue({
    logLevel: "error",
    backColor: [0, 0, 0, 1],
    crosshairWidth: 0,
    isRadiologicalConvention: true,
    isOrientationTextVisible: true,
    fontMinPx: 11,
    loadingText: "",
    dragAndDropEnabled: false,
  });
  await viewer.attachToCanvas(canvas);
  viewer.setSliceType(viewer.sliceTypeAxial);
  for (const [name, [r, g, b]] of Object.entries(colors)) {
    viewer.addColormap(name, { R: [0, r], G: [0, g], B: [0, b], A: [0, 255], I: [0, 255] });
  }

  const at = () => Math.round(viewer.frac2vox(viewer.scene.crosshairPos)[2]);
  const last = () => viewer.volumes[0].dimsRAS[3] - 1;

  function tellPlace() {
    if (viewer.volumes.length === 0) return;
    slice.max = last();
    slice.value = at();
    place.textContent = `${at() + 1} of ${last() + 1}`;
    root.dataset.slice = at();
  }

  function go(to) {
    if (viewer.volumes.length === 0) return;
    const [x, y] = viewer.frac2vox(viewer.scene.crosshairPos);
    viewer.scene.crosshairPos = viewer.vox2frac([x, y, Math.min(Math.max(to, 0), last())]);
    viewer.drawScene();
    tellPlace();
  }

  function setWindow() {
    if (viewer.volumes.length === 0) return;
    const [low, high] = windowList.value.split(" ").map(Number);
    Object.assign(viewer.volumes[0], { cal_min: low, cal_max: high });
    viewer.updateGLVolume();
  }

  function setOverlays() {
    viewer.volumes.forEach((volume, i) => {
      const box = overlays.find((box) => box.dataset.overlay === volume.name);
      if (box) viewer.setOpacity(i, box.checked ? OPACITY : 0);
    });
  }

  // The slice in which most of the lesion is; null without any.
  function largest(volume) {
    const [, width, height, depth] = volume.hdr.dims;
    let [best, most] = [null, 0];
    for (let d = 0; d < depth; d++) {
      const inSlice = volume.img.subarray(d * width * height, (d + 1) * width * height);
      const n = inSlice.reduce((sum, label) => sum + label, 0);
      if (n > most) [best, most] = [d, n];
    }
    return best;
  }

  // Leaves of a mask the voxels at its edge in each slice, so that the lesion stays in sight.
  function hollow(volume) {
    const [, width, height] = volume.hdr.dims;
    const full = volume.img.slice();
    const on = (x, y, at) => x >= 0 && x < width && y >= 0 && y < height && full[at] > 0;
    for (let at = 0; at < full.length; at++) {
      const [x, y] = [at % width, Math.floor(at / width) % height];
      const within = on(x - 1, y, at - 1) && on(x + 1, y, at + 1) &&
        on(x, y - 1, at - width) && on(x, y + 1, at + width);
      if (within) volume.img[at] = 0;
    }
  }

  // Loads all volumes before any is exchanged; where the reader has chosen another case by then, they are dropped.
  let turn = 0;
  async function show(which) {
    const mine = ++turn;
    root.dataset.state = "loading";
    caseList.value = which;
    const one = cases[which];
    const load = (name, options) =>
      niivue.NVImage.loadFromBase64({ base64: one[name], name: `${name}.nii.gz`, ...options });
    try {
      const loaded = [await load("image", { colormap: "gray", cal_min: 0, cal_max: 90 })];
      let start = Math.floor((loaded[0].dimsRAS[3] - 1) / 2);
      for (const name of ["prediction", "reference"].filter((name) => one[name])) {
        const mask = await load(name, { colormap: name, opacity: OPACITY, cal_min: 0, cal_max: 1 });
        mask.name = name;
        start = largest(mask) ?? start;
        hollow(mask);
        loaded.push(mask);
      }
      if (mine !== turn) return;
      while (viewer.volumes.length > 0) viewer.removeVolume(viewer.volumes[0]);
      loaded.forEach((volume) => viewer.addVolume(volume));
      overlays.forEach((box) => { box.disabled = !one[box.dataset.overlay]; });
      setWindow();
      setOverlays();
      go(start);
      canvas.setAttribute("aria-label", `Axial slices. ${one.title}`);
      root.dataset.state = "ready";
    } catch (error) {
      if (mine !== turn) return;
      place.textContent = `cannot be shown: ${error.message}`;
      root.dataset.state = "failed";
    }
  }

  cases.forEach((one, i) => caseList.add(new Option(one.title, i)));
  caseList.addEventListener("change", () => show(Number(caseList.value)));
  windowList.addEventListener("change", setWindow);
  slice.addEventListener("input", () => go(Number(slice.value)));
  overlays.forEach((box) => box.addEventListener("change", setOverlays));
  viewer.onLocationChange = tellPlace;

  // NiiVue's own keys would turn the view and leave slider and label behind.
  const steps = { ArrowUp: 1, ArrowRight: 1, PageUp: 5, ArrowDown: -1, ArrowLeft: -1, PageDown: -5 };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Tab") return;
    event.stopImmediatePropagation();
    if (!(event.key in steps) || viewer.volumes.length === 0) return;
    event.preventDefault();
    go(at() + steps[event.key]);
  }, { capture: true });
  canvas.addEventListener("keyup", (event) => event.stopImmediatePropagation(), { capture: true });
  // Past either end the wheel scrolls the page.
  canvas.addEventListener("wheel", (event) => {
    event.stopImmediatePropagation();
    if (viewer.volumes.length === 0) return;
    const to = at() + (event.deltaY < 0 ? 1 : -1);
    if (to < 0 || to > last()) return;
    event.preventDefault();
    go(to);
  }, { capture: true, passive: false });

  for (const button of document.querySelectorAll("button[data-case]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await show(Number(button.dataset.case));
      root.scrollIntoView({ block: "start" });
      canvas.focus({ preventScroll: true });
    });
  }

  await show(0);
})();
