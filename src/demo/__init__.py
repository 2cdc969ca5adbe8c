"""`parley demo`: a real server, real people on real sockets, and a terminal that shows what reaches whom and why.

An entry point like `cli`: of the modules it sees no more than their faces and their published events.
"""

from demo.run import run

__all__ = ["run"]
