"""The window's end of the engine process.

The client never computes, never blocks and never loads torch. The window calls
:meth:`EngineClient.poll` once a frame from its main loop and acts on the events.
"""

from __future__ import annotations

from app.jobs import Job, JobState
from app.messages import Event, ModelLoaded
from engine.recipe import Recipe


class EngineClient:
    """Starts the engine process, sends it requests, collects its events.

    Usage::

        client = EngineClient(settings.device, target_fps=settings.target_fps)
        client.start()
        client.open_model("bundled")
        while running:
            for event in client.poll():
                ...                                  # ModelLoaded, FrameReady, ...
            if document_changed:
                client.request(document.recipe, moving=mouse_is_down)
        client.close()

    Args:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        target_fps: pictures a second to hold while moving; ``None`` chooses 15 on a
            processor and 60 on a graphics card.
        opener: ``"module:function"`` that the engine process calls instead of the registry's
            ``open_model``: for tests only, never read from a file.
    """

    def __init__(
        self, device: str = "auto", *, target_fps: float | None = None, opener: str = ""
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Spawn the engine process; returns at once."""
        raise NotImplementedError

    def open_model(self, path: str) -> None:
        """Open a checkpoint, a converted model or ``"bundled"``.

        Answered by :class:`~app.messages.ModelLoaded` or :class:`~app.messages.ModelFailed`;
        a newer call supersedes one that is still under way.
        """
        raise NotImplementedError

    def request(self, recipe: Recipe, *, moving: bool) -> int:
        """Ask for a picture. The newest request wins.

        Args:
            recipe: what to draw with the model that is open.
            moving: a drag is under way: a preview is drawn as fast as the target rate asks,
                and the full-quality frame follows by itself 0.2 s after the last request.
                ``False`` draws at full quality at once.

        Returns:
            the generation that the answering ``FrameReady`` or ``RenderFailed`` carries.
        """
        raise NotImplementedError

    def poll(self) -> list[Event]:
        """Everything that happened since the last call, in order; never blocks. At most one
        ``FrameReady``: the newest."""
        raise NotImplementedError

    def start_job(self, job: Job) -> int:
        """Put an export into the queue; returns its number."""
        raise NotImplementedError

    def cancel_job(self, job: int) -> None:
        """Stop an export, waiting or running; ``JobCancelled`` follows. A job that is over
        already is left alone."""
        raise NotImplementedError

    def restart(self, device: str | None = None) -> None:
        """Start the engine process afresh (after it died too often, or to change the
        device); the model and the picture come back by themselves."""
        raise NotImplementedError

    def set_target_fps(self, target_fps: float | None) -> None:
        """Change the rate that is held while moving."""
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        """Process id of the engine, ``None`` while there is none."""
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        """Whether the engine process runs."""
        raise NotImplementedError

    @property
    def model(self) -> ModelLoaded | None:
        """The model that is open."""
        raise NotImplementedError

    @property
    def opening(self) -> str | None:
        """Path of the model that is being opened."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether a full-quality picture of the last request is still to come."""
        raise NotImplementedError

    @property
    def jobs(self) -> tuple[JobState, ...]:
        """Exports that are running or waiting, in order."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop everything: the engine, running exports (which leave no file), the shared
        memory. May be called twice."""
        raise NotImplementedError
