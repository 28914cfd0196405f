"""A scripted stand-in for the language model behind agent CLIs: the real CLI runs, what the model says is written down.

`ModelServer` is the whole of it for a test; README.md beside this file shows the scenario format.
"""

from tests.model_server.log import Ending, RequestRecord
from tests.model_server.scenario import Script, load_script
from tests.model_server.server import ModelServer

__all__ = ["Ending", "ModelServer", "RequestRecord", "Script", "load_script"]
