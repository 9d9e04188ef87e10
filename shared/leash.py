"""Programs that end with whoever started them."""

import shutil
import sys
from signal import SIGKILL, Signals


def leashed(*command: str, farewell: Signals = SIGKILL) -> list[str]:
    """Return the command so that its program gets `farewell` when the thread that starts it ends, however that ends.

    Linux can do that, by `setpriv`; elsewhere the command stays as it is.
    """
    if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
        return [setpriv, "--pdeathsig", farewell.name, "--", *command]
    return [*command]
