"""The tables (CSV) that one rule writes and another reads."""

import pandas as pd

from deepsr.errors import InputError
from deepsr.files import atomic


def write_table(table, path, digits=None):
    """Write a DataFrame as `read_table` reads it, with this number of digits after the point, or all of them if None."""
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format=digits and f"%.{digits}f")


def read_table(path, columns, text=()):
    """The table at `path` as a DataFrame. Raises InputError if it is damaged.

    columns: columns of whole numbers that it must have; text: columns that stay text, even "NA" and "007".
    """
    as_text = {"dtype": dict.fromkeys(text, str), "keep_default_na": False, "na_values": [""]} if text else {}
    try:
        with open(path, "rb") as file:
            whole = file.read().endswith(b"\n")  # otherwise the table was cut off
        table = pd.read_csv(path, **as_text)
        if not whole or not len(table) or any(table[column].dtype.kind != "i" for column in columns):
            raise ValueError("cells are missing or are no numbers")
    except KeyError as error:
        raise InputError(f"{path}: is damaged (no column {error}); delete it and run again.") from error
    except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
        raise InputError(f"{path}: is damaged ({' '.join(str(error).split())}); delete it and run again.") from error
    return table
