"""Hypothesis profiles: the same examples each time in CI, new ones for people."""

import os

from hypothesis import settings

collect_ignore_glob = ["benchmarks/*", "reference/*"]  # scripts, which want peers that the tests do without

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
