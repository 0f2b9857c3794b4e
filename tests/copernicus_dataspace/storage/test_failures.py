"""What a failure of the output's storage is called, by its cause."""

import errno

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)
from hypothesis import given
from hypothesis import strategies as st
from s3fs.errors import translate_boto_error

from copernicus_dataspace.errors import (
    DataSpaceError,
    InProgressError,
    MissingFileError,
    StorageFullError,
    StorageRefusedError,
    StorageUnavailableError,
)
from copernicus_dataspace.storage.failures import FailureCause, named


def of_s3(code, status, condition=""):
    answer = {
        "Error": {"Code": code, "Message": "said the store", "Condition": condition},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return translate_boto_error(ClientError(answer, "PutObject"))


def kind_of(error):
    told = pytest.raises(DataSpaceError, match=r"^s3://b/x cannot be read: ")
    with told as caught, named(lambda: "s3://b/x", "read"):
        raise error
    return type(caught.value)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, StorageUnavailableError),
        ("ServiceUnavailable", 503, StorageUnavailableError),
        ("InternalError", 500, StorageUnavailableError),
        ("503", 503, StorageUnavailableError),
        ("OperationAborted", 409, StorageUnavailableError),
        ("RequestTimeout", 400, StorageUnavailableError),
        ("BadDigest", 400, StorageUnavailableError),
        ("IncompleteBody", 400, StorageUnavailableError),
        ("ExpiredToken", 400, StorageUnavailableError),
        ("RequestTimeTooSkewed", 403, StorageUnavailableError),
        ("NeverHeardOf", 400, StorageUnavailableError),
        ("NoSuchKey", 404, MissingFileError),
        ("AccessDenied", 403, StorageRefusedError),
        ("403", 403, StorageUnavailableError),
        ("", 403, StorageUnavailableError),
        ("NeverHeardOf", 403, StorageRefusedError),
        ("InvalidAccessKeyId", 403, StorageRefusedError),
        ("SignatureDoesNotMatch", 403, StorageRefusedError),
        ("NoSuchBucket", 404, StorageRefusedError),
        ("NotImplemented", 501, StorageRefusedError),
        ("MissingContentMD5", 400, StorageRefusedError),
        ("PermanentRedirect", 301, StorageRefusedError),
        ("KeyTooLongError", 400, StorageRefusedError),
        ("XMinioStorageFull", 507, StorageFullError),
        ("QuotaExceeded", 403, StorageFullError),
    ],
)
def test_what_object_storage_says(code, status, kind):
    assert kind_of(of_s3(code, status)) is kind


PERMANENT = ("EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "EINVAL", "ENOSYS")


@given(st.sampled_from(sorted(errno.errorcode)))
def test_what_a_disk_says(number):
    name = errno.errorcode[number]
    error = OSError(number, "as the disk says")
    if name in {"ENOSPC", "EDQUOT"}:
        assert kind_of(error) is StorageFullError
    elif name == "ENOENT":
        assert kind_of(error) is MissingFileError
    elif name in (*PERMANENT, "EEXIST", "ELOOP", "EFBIG", "EOPNOTSUPP", "ENOTSUP"):
        assert kind_of(error) is StorageRefusedError
    else:
        assert kind_of(error) is StorageUnavailableError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), StorageUnavailableError),
        (PartialCredentialsError(provider="env", cred_var="x"), StorageRefusedError),
        (PermissionError("no"), StorageRefusedError),
        (NotImplementedError(), StorageRefusedError),
        (TimeoutError(), StorageUnavailableError),
        (ConnectionResetError("gone"), StorageUnavailableError),
        (EndpointConnectionError(endpoint_url="http://s/b?sig=secret"), StorageUnavailableError),
    ],
)
def test_errors_without_a_number(error, kind):
    assert kind_of(error) is kind


def test_no_query_of_an_address_is_told():
    error = EndpointConnectionError(endpoint_url="http://s/b?X-Amz-Signature=secret&x=1")
    with pytest.raises(StorageUnavailableError) as caught, named(lambda: "s3://b/x", "read"):
        raise error
    assert "secret" not in str(caught.value)
    assert "http://s/b" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError(), "try again; otherwise set access keys, or .* a role"),
        (of_s3("403", 403), "HTTP 403 .*try again; otherwise grant permission to list, read"),
    ],
)
def test_what_may_not_pass_after_all_says_what_to_do_then(error, words):
    told = pytest.raises(StorageUnavailableError, match=words)
    with told, named(lambda: "s3://b/x", "read"):
        raise error


@pytest.mark.parametrize(
    ("code", "status", "lacks"),
    [
        ("NotImplemented", 501, True),
        ("MethodNotAllowed", 405, True),
        ("501", 501, True),
        ("InvalidArgument", 400, False),
        ("EntityTooLarge", 400, False),
        ("MissingContentMD5", 400, False),
    ],
)
def test_an_operation_that_is_not_known_is_told_from_one_that_is_wrong(code, status, lacks):
    assert FailureCause.of(of_s3(code, status)).lacks_operation is lacks


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), InProgressError("x")])
def test_what_is_not_the_storages_passes_as_it_is(error):
    with pytest.raises(type(error)) as caught, named(lambda: "s3://b/x", "read"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("code", "status", "is_refused"),
    [
        ("NotImplemented", 501, True),
        ("InvalidArgument", 400, True),
        ("NeverHeardOf", 400, True),
        ("AccessDenied", 403, True),
        ("RequestTimeout", 400, False),
        ("ExpiredToken", 400, False),
        ("SlowDown", 503, False),
        ("InternalError", 500, False),
    ],
)
def test_a_header_that_is_refused_is_told_from_a_fault_that_passes(code, status, is_refused):
    assert FailureCause.of(of_s3(code, status)).refuses_form is is_refused


def test_only_a_disk_has_bad_sectors():
    assert FailureCause.of(OSError(errno.EIO, "x")).is_bad_sector
    assert not FailureCause.of(of_s3("NeverHeardOf", 400)).is_bad_sector  # s3fs calls it EIO
    assert FailureCause.of(of_s3("ConditionalRequestConflict", 409)).is_taken
