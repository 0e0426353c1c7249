"""Makes the bucket that JOBX_S3__BUCKET names, if it is not there; run in the image of Jobx, which has botocore."""

import os
from contextlib import suppress

import botocore.session
from botocore.exceptions import ClientError


def main() -> None:
    """Ask the store of the JOBX_S3__ variables."""
    store = botocore.session.Session().create_client(
        "s3",
        region_name=os.environ.get("JOBX_S3__REGION", "us-east-1"),
        endpoint_url=os.environ["JOBX_S3__ENDPOINT_URL"],
        aws_access_key_id=os.environ["JOBX_S3__ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["JOBX_S3__SECRET_ACCESS_KEY"],
    )
    bucket = os.environ["JOBX_S3__BUCKET"]
    with suppress(ClientError):
        store.create_bucket(Bucket=bucket)
    # Ours already, or not to be had: this tells.
    store.head_bucket(Bucket=bucket)


if __name__ == "__main__":
    main()
