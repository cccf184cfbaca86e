"""Caching: properties that are computed once, without a lock.

Before Python 3.12, `functools.cached_property` has one lock for all instances. If a
process is forked while another thread holds the lock, the child would wait for ever.
Fits in several threads would wait for each other.
"""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["cached_property"]

Value = TypeVar("Value")


class cached_property(Generic[Value]):  # noqa: N801, as functools names it
    """A property that is computed at the first access, and then stored as an attribute.

    If several threads access it at once, each may compute it. The last result is
    stored.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...

    def __get__(self, instance: object, owner: type | None = None) -> Self | Value:
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._compute(instance)
        return value
