"""Media in turns that cannot contain any, such as an image made by a model. They are moved to the user's next turn."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace

from dialects.core.conversation import Conversation, Media, Message, Part, Role, Text
from dialects.core.faults import FaultError

USERS = frozenset({Role.USER})
"""The roles whose turns can contain media in most dialects."""
_WHOSE = {Role.USER: "user", Role.ASSISTANT: "assistant", Role.SYSTEM: "system"}


def has_misplaced_media(conversation: Conversation, roles: Container[Role] = USERS) -> bool:
    """Return whether a turn of any role other than *roles* contains media."""
    # Media are looked for first, because most conversations have none and the check of the role is slower.
    media = (message for message in conversation.messages for part in message.parts if isinstance(part, Media))
    return any(message.role not in roles for message in media)


def with_media_moved(
    conversation: Conversation, render: Callable[[Media], object], dropped: set[str], roles: Container[Role] = USERS
) -> Conversation:
    """Move media from the turns of other roles than *roles* to the user's next turn, with a text that names the role.

    Media for which *render* raises `FaultError`, because the model does not accept them, are left out and named in
    *dropped*. So are media without a later turn of the user.
    """
    if not has_misplaced_media(conversation, roles):
        return conversation
    moves = _Moves(render, dropped, roles)
    for message in conversation.messages:
        moves.add(message)
    return replace(conversation, messages=moves.finish())


@dataclass(slots=True)
class _Moves:
    """The state of moving media in a history. *waiting* has the media for the user's next turn."""

    render: Callable[[Media], object]
    dropped: set[str]
    roles: Container[Role]
    messages: list[Message] = field(default_factory=list)
    waiting: list[tuple[Role, Media]] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Add a message, without its media if it cannot contain any."""
        if message.role is Role.USER:
            message = Message(Role.USER, self._with_waiting(message.parts))
        elif message.role not in self.roles:
            for part in message.parts:
                if isinstance(part, Media):
                    self._take(message.role, part)
            message = Message(message.role, tuple(part for part in message.parts if not isinstance(part, Media)))
        self.messages.append(message)

    def finish(self) -> tuple[Message, ...]:
        """Return the history. Media that wait after a prefilled answer of the model are left out."""
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
        """Put the waiting media before *parts*. Renderers put the results of tools before both."""
        moved: list[Part] = []
        for role, media in self.waiting:
            moved += [Text(f"(From the {_WHOSE[role]}'s message, this {media.kind.value}:)"), media]
        self.waiting = []
        return (*moved, *parts)
