"""A window with what is watched, and what is said of it."""

from types import TracebackType
from typing import TYPE_CHECKING

from marey.errors import UsageError

if TYPE_CHECKING:
    from marey.watching import Seen


class Window:
    """Shows the frames that are looked at; use it in a `with` block.

    Args:
        title: What is watched.

    Raises:
        UsageError: This Python has no tkinter, or there is no display.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise UsageError(
                "--show needs tkinter, which this Python lacks (on Debian: apt install "
                "python3-tk); leave it out"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise UsageError(f"--show needs a display: {error}; leave it out") from error
        self._closed = False
        self._root.title(f"marey: {title}")
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._label = tkinter.Label(self._root, compound="top", font=("TkDefaultFont", 16))
        self._label.pack()
        self._image: object = None  # Tk does not keep it.

    @property
    def closed(self) -> bool:
        """Whether the user closed it."""
        return self._closed

    def show(self, seen: "Seen | None") -> None:
        """Show a frame and its answer, if there is a new one, and do what the user asks for."""
        if self._closed:
            return
        if seen is not None:
            from PIL import Image, ImageTk

            image = ImageTk.PhotoImage(Image.fromarray(seen.picture), master=self._root)
            label, probability = seen.prediction.labels[0], seen.prediction.probabilities[0]
            self._label.configure(image=str(image), text=f"{label}  {probability:.0%}")
            self._image = image
        self._root.update()

    def __enter__(self) -> "Window":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._closed:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._root.destroy()
