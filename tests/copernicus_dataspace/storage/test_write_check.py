"""What a store must be able to do is tried, and lost answers are no proof that it cannot."""

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.errors import NoConditionalWriteError, StorageUnavailableError
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace.storage.write_check import check_store


class Forgetful(Store):
    """Storage whose client repeats its first write as the answer was lost: it was done, or not."""

    def __init__(self, root, *, is_done):
        super().__init__(LocalFileSystem(), str(root))
        self._is_done = is_done
        self._is_first = True

    def create(self, path, content):
        if not self._is_first:
            return super().create(path, content)
        self._is_first = False
        if self._is_done:
            super().create(path, content)
        return False


def test_a_write_whose_answer_was_lost_is_ours(tmp_path):
    check_store(Forgetful(tmp_path, is_done=True), "runs/a", one_run_at_a_time=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_said_to_be_there_and_is_not_may_pass(tmp_path):
    with pytest.raises(
        StorageUnavailableError, match=r"reported to exist, but does not; try again"
    ):
        check_store(Forgetful(tmp_path, is_done=False), "runs/a", one_run_at_a_time=False)


def test_what_was_written_twice_is_refused(tmp_path, monkeypatch):
    store = Store(LocalFileSystem(), str(tmp_path))
    monkeypatch.setattr(store, "create", lambda path, content: store.write(path, content) or True)
    with pytest.raises(NoConditionalWriteError, match="overwritten by a conditional write"):
        check_store(store, "runs/a", one_run_at_a_time=False)
    check_store(store, "runs/a", one_run_at_a_time=True)


def test_a_file_that_is_not_listed_may_appear(tmp_path, monkeypatch):
    store = Store(LocalFileSystem(), str(tmp_path))
    monkeypatch.setattr(store, "sizes", lambda _folder: {})
    with pytest.raises(StorageUnavailableError, match="does not list the file just written"):
        check_store(store, "runs/a", one_run_at_a_time=False)
