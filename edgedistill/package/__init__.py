"""Packages: what an app's developer takes in, for one platform."""

from edgedistill.package.contents import Contents
from edgedistill.package.platforms import PLATFORMS, Platform, RuntimeSize
from edgedistill.package.write import Packaged, package

__all__ = ["PLATFORMS", "Contents", "Packaged", "Platform", "RuntimeSize", "package"]
