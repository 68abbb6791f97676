"""Operations on buckets: list, make, look at, remove, tag."""

from starlette.responses import Response

from gateway.backends.objects.embedded.face.answers import empty, timestamp, xml
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.markup import Node, element

TAGS_LIMIT = 50
TAG_NAME_LIMIT = 128
TAG_VALUE_LIMIT = 256


async def list_buckets(call: Call) -> Response:
    buckets = [
        element("Bucket", element("Name", bucket.name), element("CreationDate", timestamp(bucket.created_at)))
        for bucket in await call.store.buckets()
    ]
    return xml("ListAllMyBucketsResult", owner(call), element("Buckets", *buckets))


async def create_bucket(call: Call) -> Response:
    """The body may name a region; whichever it is, the bucket is here."""
    if not await call.store.make_bucket(call.bucket, tags={}):
        raise S3Error("BucketAlreadyOwnedByYou", "the bucket is there already")
    return empty(200, {"location": f"/{call.bucket}"})


async def head_bucket(call: Call) -> Response:
    await call.store.bucket(call.bucket)
    return empty(200, {"x-amz-bucket-region": call.store.provider.region})


async def delete_bucket(call: Call) -> Response:
    await call.store.drop_bucket(call.bucket, only_empty=True)
    return empty()


async def get_location(call: Call) -> Response:
    """S3's first region goes by no name."""
    await call.store.bucket(call.bucket)
    region = call.store.provider.region
    return xml("LocationConstraint", "" if region == "us-east-1" else region)


async def get_versioning(call: Call) -> Response:
    """There is none, which S3 says by an empty document."""
    await call.store.bucket(call.bucket)
    return xml("VersioningConfiguration")


async def get_tagging(call: Call) -> Response:
    tags = (await call.store.bucket(call.bucket)).tags
    if not tags:
        raise S3Error("NoSuchTagSet", "the bucket has no tags")
    listed = [
        element("Tag", element("Key", name), element("Value", value)) for name, value in sorted(tags.items())
    ]
    return xml("Tagging", element("TagSet", *listed))


async def put_tagging(call: Call) -> Response:
    document = await call.document("Tagging")
    given = [tag for each in document.all("TagSet") for tag in each.all("Tag")]
    tags = dict(_tag(each) for each in given)
    if len(given) > TAGS_LIMIT or len(tags) < len(given):
        raise S3Error("InvalidTag", f"a bucket has at most {TAGS_LIMIT} tags, each name once")
    await call.store.tag_bucket(call.bucket, tags)
    return empty()


async def delete_tagging(call: Call) -> Response:
    await call.store.tag_bucket(call.bucket, {})
    return empty()


def owner(call: Call) -> str:
    """Everything belongs to the one credential."""
    name = call.store.provider.access_key
    return element("Owner", element("ID", name), element("DisplayName", name))


def _tag(node: Node) -> tuple[str, str]:
    name, value = node.value("Key") or "", node.value("Value") or ""
    if not name or len(name) > TAG_NAME_LIMIT or len(value) > TAG_VALUE_LIMIT:
        raise S3Error(
            "InvalidTag",
            f"a tag's name has 1 to {TAG_NAME_LIMIT}, its value up to {TAG_VALUE_LIMIT} characters",
        )
    return name, value
