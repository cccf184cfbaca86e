"""Caching: properties that are computed once, without a lock.

That of `functools` has one lock for all instances before Python 3.12. A process that
is forked while another thread computes would wait for it for ever, and fits in threads
would wait for each other.
"""

__all__ = ["cached_property"]


class cached_property:  # noqa: N801, as functools names it
    """A property that is computed when first asked for, and then an attribute.

    Threads that ask at once may each compute it; the last one's stays.
    """

    def __init__(self, compute):
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._compute(instance)
        return value
