// The drawing pad: what is drawn, or a photo, as a PNG with transparency in the component's value.
const canvas = element.querySelector("canvas");
const file = element.querySelector("input");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let last = null; // the point that a stroke has reached

function send() {
  props.value = canvas.toDataURL("image/png");
  trigger("input");
}

function clear() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
}

function draw(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const point = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  pen.lineWidth = canvas.width / 14; // about as thick as MNIST's strokes, for a digit of usual size
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  if (last) {
    pen.moveTo(...last);
    pen.lineTo(...point);
    pen.stroke();
  } else { // not every browser draws a line of no length
    pen.arc(...point, pen.lineWidth / 2, 0, 2 * Math.PI);
    pen.fill();
  }
  last = point;
}

canvas.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId); // a stroke may leave the pad and come back
  draw(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (last && event.isPrimary) (event.getCoalescedEvents?.() ?? []).concat(event).forEach(draw);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (last) send();
    last = null;
  });
}

async function show(picture) {
  if (!picture) return;
  const bitmap = await createImageBitmap(picture).catch(() => null);
  clear();
  if (!bitmap) {
    props.value = "no picture that this browser can open"; // the answer says so
    trigger("input");
    return;
  }
  const scale = Math.min(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  send();
}

file.addEventListener("change", () => show(file.files[0]).then(() => (file.value = "")));
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  event.preventDefault();
  show(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => show(event.clipboardData.files[0]));
element.querySelector(".clear").addEventListener("click", () => {
  clear();
  send();
});
