"""The trajectory log as a LiteLLM callback: `litellm_settings: {callbacks: gpubox_trajectory.instance}`.

It lies beside LiteLLM's config.yaml together with the other trajectory_*.py and trajectory.json. LiteLLM runs this file anew
each time that it reads its config, so the state is in modules that Python imports once.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from trajectory_install import install  # noqa: E402

instance = install(HERE)
