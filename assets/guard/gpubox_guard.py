"""The guard of requests as a LiteLLM callback: `litellm_settings: {callbacks: gpubox_guard.instance}`.

It lies beside LiteLLM's config.yaml together with the other guard_*.py and guard.json. LiteLLM runs this file anew each time
that it reads its config, so the state is in modules that Python imports once.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from guard_install import install  # noqa: E402

instance = install(HERE)
