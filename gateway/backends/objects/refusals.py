"""What the store refuses, finer than the domain's kinds: S3 has a code for each."""

from gateway.domain.problems import Conflict, Invalid, NotFound


class BucketMissing(NotFound):
    def __init__(self, bucket: str) -> None:
        super().__init__(f"there is no bucket {bucket}")


class ObjectMissing(NotFound):
    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"there is no object {key} in bucket {bucket}")


class UploadMissing(NotFound):
    def __init__(self) -> None:
        super().__init__("there is no such multipart upload: it was completed, aborted, or never begun")


class BucketNotEmpty(Conflict):
    def __init__(self, bucket: str) -> None:
        super().__init__(f"bucket {bucket} is not empty")


class PreconditionFailed(Conflict):
    def __init__(self, condition: str) -> None:
        super().__init__(f"the condition {condition} does not hold")
        self.condition = condition


class BucketNameInvalid(Invalid):
    def __init__(self) -> None:
        super().__init__("a bucket's name is 3 to 63 of a-z, 0-9, '.' and '-', by S3's rules", field="bucket")


class KeyInvalid(Invalid):
    def __init__(self) -> None:
        super().__init__("a key is 1 to 1024 bytes of UTF-8 without NUL", field="key")


class PartInvalid(Invalid):
    def __init__(self, number: int) -> None:
        super().__init__(f"part {number} was not uploaded, or its ETag is another one")


class PartOrderInvalid(Invalid):
    def __init__(self) -> None:
        super().__init__("the parts are not listed in ascending order")


class PartTooSmall(Invalid):
    def __init__(self, number: int) -> None:
        super().__init__(f"part {number} is smaller than 5 MiB and not the last one")
