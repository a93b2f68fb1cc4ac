"""The error vocabulary documents itself."""

import pickle

import pytest

from channelsync.sdk import errors
from channelsync.sdk.errors import (
    AnswerUnreadable,
    ChannelError,
    ChannelMisbehaved,
    NeedsSeller,
    NotSent,
    OutcomeUnknown,
    TryLater,
)


def all_errors() -> list[type[ChannelError]]:
    found, todo = [], [ChannelError]
    while todo:
        error = todo.pop()
        found.append(error)
        todo.extend(error.__subclasses__())
    return [error for error in found if error.__module__ == errors.__name__]


@pytest.mark.parametrize("error", all_errors())
def test_every_error_has_a_docstring_of_its_own_that_is_its_default_message(error: type[ChannelError]) -> None:
    assert error.__dict__["__doc__"]
    assert str(error()) == error.__doc__


@pytest.mark.parametrize("error", all_errors())
def test_the_drawn_tree_names_every_error(error: type[ChannelError]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


def test_a_message_replaces_the_default() -> None:
    assert str(ChannelMisbehaved("shop: the page has no end")) == "shop: the page has no end"


@pytest.mark.parametrize("error", [TryLater, NotSent, OutcomeUnknown])
def test_whoever_must_try_later_can_be_told_how_many_seconds(error: type[TryLater]) -> None:
    assert error(retry_after=3).retry_after == 3
    assert error("busy").retry_after is None


def test_what_the_seller_must_do_is_the_message() -> None:
    assert NeedsSeller("renew the token").what_to_do == str(NeedsSeller("renew the token")) == "renew the token"


def test_an_unreadable_answer_is_no_reason_to_try_later() -> None:
    assert not issubclass(AnswerUnreadable, TryLater)


@pytest.mark.parametrize("error", [TryLater("busy", retry_after=3.0), NeedsSeller("renew the token")])
def test_an_error_survives_a_trip_between_processes(error: ChannelError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(copy), vars(copy)) == (str(error), vars(error))
