// Recording from the camera.

const $ = (id) => document.getElementById(id);
let recorder = null;

/** Let the button begin and end a recording; `done` is given its file, `fail` words. */
export function camera(done, fail) {
  const label = $("record").textContent;
  $("record").addEventListener("click", async () => {
    if (recorder) {
      recorder.stop();
      return;
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch (error) {
      fail(error.name === "NotFoundError"
        ? "No camera was found. Connect one, or choose a file."
        : "The camera may not be used. Allow it in the browser's settings, or choose a file.");
      return;
    }
    const parts = [];
    const type = ["video/webm;codecs=vp8", "video/webm"].find((kind) => MediaRecorder.isTypeSupported(kind));
    recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      recorder = null;
      $("camera").hidden = true;
      $("camera").srcObject = null;
      $("record").textContent = label;
      const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
      done(new File(parts, `recording ${time}.webm`, { type: "video/webm" }));
    };
    $("camera").srcObject = stream;
    $("camera").hidden = false;
    $("camera").play();
    $("record").textContent = "Stop and look at it";
    recorder.start();
  });
}
