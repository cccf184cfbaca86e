"""Parts: what may stand in a slot of the estimator, an object or its name."""

__all__ = ["check_part"]


def check_part(slot, part, named):
    """Resolve a name to its part, and see that the part's own parameters are valid.

    Parameters
    ----------
    slot : str
        The estimator's parameter, for messages.
    part : str, object or None
    named : dict
        name -> class of a part that can be made without arguments.
    """
    if isinstance(part, str):
        return named[part]()
    if isinstance(part, type):
        raise TypeError(
            f"{slot} must be an object, not the class: {part.__name__}(...)."
        )
    if hasattr(part, "_parameter_constraints"):
        part._validate_params()
    return part
