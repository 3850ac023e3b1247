// Kernels: the chosen layer in two settings; without this script the first layer of plain training and of the penalty
function makeKernelChoice(box) {
  const choice = box.querySelector(".kernel-choice");
  const layer = choice.querySelector("[name=kernel-layer]");
  const settings = [...choice.querySelectorAll("[name=kernel-setting]")];
  const show = () => {
    for (const figure of box.querySelectorAll("figure.kernel")) {
      const side = settings.findIndex((pick) => pick.value === figure.dataset.setting);
      figure.hidden = figure.dataset.layer !== layer.value || side < 0;
      figure.style.order = side;
    }
  };
  choice.addEventListener("change", show);
  choice.hidden = false;
  show(); // a browser may have kept what was chosen before
}

document.querySelectorAll(".kernels").forEach(makeKernelChoice);
