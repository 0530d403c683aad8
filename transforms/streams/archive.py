"""Zip and tar archives, which are hostile until proven otherwise: what the readers of both kinds offer."""

from __future__ import annotations

from transforms.streams.archive_member import ArchiveLimits, Member
from transforms.streams.tar_archive import is_tar, tar_members
from transforms.streams.zip_archive import is_zip, zip_members

__all__ = ["ArchiveLimits", "Member", "is_tar", "is_zip", "tar_members", "zip_members"]
