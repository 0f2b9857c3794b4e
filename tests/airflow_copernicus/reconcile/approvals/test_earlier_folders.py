"""A question that an earlier version has put can be answered."""

import pytest

from copernicus_dataspace.storage.layout import folder_name
from tests.airflow_copernicus.reconcile.approvals.conftest import DAG_ID

BY_HAND = "manual__2026-11-20T03:00:00+00:00"


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_question_in_an_earlier_versions_folder_is_answered(approvals, asked, is_approved):
    approvals.ask(BY_HAND)
    (folder,) = approvals.output.glob(f"runs/{DAG_ID}/manual__*")
    assert ":" not in folder.name
    folder.rename(folder.with_name(folder_name(BY_HAND)))
    settled = approvals.answer(BY_HAND, is_approved=is_approved)
    assert bool(settled["removed"]) is is_approved
