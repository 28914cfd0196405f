"""Real pytest runs on tiny projects: what the runner says is what happened."""

import os
import sys
from pathlib import Path

import pytest

from graftline.verify.detect import TestCommand
from graftline.verify.result import SESSION, judge

from .conftest import RunProject
