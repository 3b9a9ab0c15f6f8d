"""Media in turns that can hold none, such as an image that a model drew: moved to the user's next turn."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace

from dialects.core.conversation import Conversation, Media, Message, Part, Role, Text
from dialects.core.faults import FaultError

USERS = frozenset({Role.USER})
"""Whose turns can hold media in most dialects."""
_WHOSE = {Role.USER: "user", Role.ASSISTANT: "assistant", Role.SYSTEM: "system"}


def has_misplaced_media(conversation: Conversation, roles: Container[Role] = USERS) -> bool:
    """Whether media stand in a turn of anybody but *roles*."""
    # Most conversations hold no media at all, and whose turn it is takes longer to know.
    media = (message for message in conversation.messages for part in message.parts if isinstance(part, Media))
    return any(message.role not in roles for message in media)


def with_media_moved(
    conversation: Conversation, render: Callable[[Media], object], dropped: set[str], roles: Container[Role] = USERS
) -> Conversation:
    """Move media out of turns of anybody but *roles*, each to the user's next turn, with a text that says whose it was.

    What *render* refuses with a `FaultError`, as the model does not take it, is left out and named in *dropped*; so is
    what no turn of the user follows.
    """
    if not has_misplaced_media(conversation, roles):
        return conversation
    moves = _Moves(render, dropped, roles)
    for message in conversation.messages:
        moves.add(message)
    return replace(conversation, messages=moves.finish())


@dataclass(slots=True)
class _Moves:
    """Moves media along the history; *waiting* are those for the user's next turn."""

    render: Callable[[Media], object]
    dropped: set[str]
    roles: Container[Role]
    messages: list[Message] = field(default_factory=list)
    waiting: list[tuple[Role, Media]] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Add a message, without its media if it can hold none."""
        if message.role is Role.USER:
            message = Message(Role.USER, self._with_waiting(message.parts))
        elif message.role not in self.roles:
            for part in message.parts:
                if isinstance(part, Media):
                    self._take(message.role, part)
            message = Message(message.role, tuple(part for part in message.parts if not isinstance(part, Media)))
        self.messages.append(message)

    def finish(self) -> tuple[Message, ...]:
        """Give the history; what waits behind an answer that has been begun for the model has nowhere to go."""
        if self.waiting and self.messages[-1].role is Role.SYSTEM:
            self.messages.append(Message(Role.USER, self._with_waiting(())))
        self.dropped |= {f"{_WHOSE[role]} {media.kind.value}" for role, media in self.waiting}
        return tuple(self.messages)

    def _take(self, role: Role, media: Media) -> None:
        try:
            self.render(media)
        except FaultError:
            self.dropped.add(f"{_WHOSE[role]} {media.kind.value}")
        else:
            self.waiting.append((role, media))

    def _with_waiting(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Put what waits first; whoever renders it puts results before all else."""
        moved: list[Part] = []
        for role, media in self.waiting:
            moved += [Text(f"(From the {_WHOSE[role]}'s message, this {media.kind.value}:)"), media]
        self.waiting = []
        return (*moved, *parts)
