"""The file system of a folder, as the kernel lists the mounts."""

from pathlib import Path

from returns_pipeline.photos.file_systems import file_system_of

_MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / {folder}/a\040share rw shared:9 - autofs systemd-1 rw
41 40 0:36 / {folder}/a\040share rw shared:9 - nfs4 nas:/photos rw,vers=4.2
42 22 8:1 /srv/in {folder}/bound rw master:2 - ext4 /dev/sda1 rw
43 22 0:37 broken
"""


def test_the_deepest_and_newest_mount_above_a_folder_counts(tmp_path: Path) -> None:
    """A name that only begins alike is another folder; links are followed."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(_MOUNTS.format(folder=tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "a share" / "in")
    expected = {
        "a share": "nfs4 nas:/photos",
        "a share/in/1": "nfs4 nas:/photos",
        "link": "nfs4 nas:/photos",
        "a share 2": "ext4 /dev/sda1",
        "bound/x": "ext4 /dev/sda1 /srv/in",
    }
    assert {name: file_system_of(str(tmp_path / name), mounts) for name in expected} == expected
    assert file_system_of("/", mounts) == "ext4 /dev/sda1"
    assert file_system_of("/", tmp_path / "none") == ""


def test_this_machine_has_a_root(tmp_path: Path) -> None:
    """Every folder of a running Linux lies on some file system, always the same."""
    assert file_system_of(str(tmp_path)) == file_system_of(str(tmp_path / "new")) != ""
