"""What the window asks: questions with a few answers, and paths that are wanted.

Whoever needs an answer puts a :class:`Question` or a :class:`Prompt` into the window's
:class:`Conversation`; panels show it, and the person's answer calls back. One at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Longest piece of a file's text that is shown, characters.
_LONGEST = 160


def nothing() -> None:
    """What an answer does that changes nothing."""


@dataclass(frozen=True)
class Choice:
    """One answer to a question.

    Attributes:
        label: its words.
        name: of its button, for tests.
        action: what it does.
        tip: what follows from it, for people.
    """

    label: str
    name: str
    action: Callable[[], None]
    tip: str


@dataclass(frozen=True)
class Question:
    """Something to decide. The first choice is the one to propose; the last is what closing
    the question stands for."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Prompt:
    """A path that is wanted.

    Attributes:
        kind: ``"save"``, ``"open"``, ``"model"``, ``"open latent"``, ``"save latent"``,
            ``"save model"``, ``"open direction"``, ``"save direction"``, ``"open timeline"`` or ``"save timeline"``.
        title: heading.
        button: label of the button that takes the path.
        path: to begin with.
        answer: takes the path that was given; raises UserError to ask for another one.
        cancel: called when no path is given.
    """

    kind: str
    title: str
    button: str
    path: str
    answer: Callable[[str], None]
    cancel: Callable[[], None] = nothing


class Conversation:
    """What is being asked at the moment.

    Args:
        touch: called when that changes.
    """

    def __init__(self, touch: Callable[[], None]) -> None:
        self._touch = touch
        self.question: Question | None = None
        self.prompt: Prompt | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is being asked."""
        return self.question is not None or self.prompt is not None

    def ask(self, text: str, *choices: Choice) -> None:
        """Ask a question in place of what is being asked."""
        self.dismiss()
        self.question = Question(text, choices)
        self._touch()

    def ask_path(self, prompt: Prompt) -> None:
        """Ask for a path in place of what is being asked."""
        self.dismiss()
        self.prompt = prompt
        self._touch()

    def dismiss(self) -> None:
        """Take away what is asked, as if the person had closed it."""
        question, prompt = self.question, self.prompt
        self.end()
        if question is not None:
            question.choices[-1].action()
        elif prompt is not None:
            prompt.cancel()

    def choose(self, choice: Choice) -> None:
        """Answer the question."""
        if self.question is not None and choice in self.question.choices:
            self.end()
            choice.action()

    def end(self) -> None:
        """Take away what is asked; nobody is called."""
        self.question = self.prompt = None
        self._touch()


def shown(text: str) -> str:
    """A text from a file, fit for the screen."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= _LONGEST else f"... {plain[-_LONGEST:]}"
