"""Python runs this before LiteLLM, because the entrypoint puts its folder on PYTHONPATH.

LiteLLM imports about a million objects that live as long as the process. With the garbage collector off meanwhile, an import takes
3.3 s of CPU in place of 4.0 s. The guard turns the collector on again when the application starts, and exempts what was imported.

LiteLLM and its libraries declare more than a thousand pydantic models. Each made its validator at import, a quarter of the import's
CPU, and a gateway uses few of them. With `defer_build` a model makes it when it is first used.

A module of the user's may lie in this folder. It comes last, so that none takes the place of a package that has the same name.
"""

import gc
import os
import sys

gc.disable()
# For this process alone: a program that LiteLLM starts has no guard that would turn its collector on.
os.environ.pop("PYTHONPATH", None)

try:
    from pydantic import BaseModel
except ImportError:
    pass
else:
    # Every model inherits its configuration from here, unless it says otherwise.
    BaseModel.model_config["defer_build"] = True

_here = os.path.dirname(os.path.abspath(__file__))
if _here in sys.path:
    sys.path.remove(_here)
    sys.path.append(_here)
