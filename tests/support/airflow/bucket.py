"""Object storage for tests of a whole Airflow."""

import boto3


class Bucket:
    """An empty bucket of a local S3."""

    def __init__(self, url):
        self.uri = "s3://storage@output/sentinel2"
        self.connection = {
            "conn_type": "aws",
            "login": "test",
            "password": "test",
            "extra": {"endpoint_url": url, "region_name": "us-east-1"},
        }
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self._s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        self._s3.create_bucket(Bucket="output")

    def standing(self):
        """Return content by path below bands/."""
        top = "sentinel2/bands/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket="output", Prefix=top)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key.removeprefix(top): self._get(key) for key in keys}

    def _get(self, key):
        return self._s3.get_object(Bucket="output", Key=key)["Body"].read()

    def put(self, path, content):
        """Store a text below the output."""
        self._s3.put_object(Bucket="output", Key=f"sentinel2/{path}", Body=content.encode())
