"""How photos are linked to returns, and what is found about them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator
from pydantic_settings import NoDecode

from returns_pipeline.records.codes import CodeFormat
from returns_pipeline.settings.codes import parse_formats, parse_number_pattern


class ReturnSettings(BaseModel):
    """How photos are linked to returns, and what is found about them."""

    codes: Annotated[tuple[CodeFormat, ...], NoDecode, PlainValidator(parse_formats)] = Field(
        (),
        description="Codes that are read in photos, like `qr,ean13,code128`; see codes. Default: none.",
        json_schema_extra={"allowed": ", ".join(CodeFormat)},
    )
    code_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that the whole text of a code must match; its group is "
        "the number of a return, like `https://shop\\.example/r/(RMA-[0-9]{8})`. Default: every text is a "
        "number.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    slips: Literal["on", "off"] = Field(
        "on",
        description="on: a photo that shows the code of a return opens it, and the photos after it in the "
        "same folder belong to it until the next one. It has no effect without CODES.",
    )
    folder_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that finds the number of a return in the name of a photo's "
        "folder, like `^(RMA-[0-9]{8})$`; its group is the number. Default: folders say nothing.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    file_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that finds the number of a return in the name of a photo, "
        "like `^(RMA-[0-9]{8})_`; its group is the number. Default: names say nothing.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    missing_days: int = Field(
        21,
        ge=1,
        le=3650,
        description="Days after which a return that was announced has the verdict `no photo` if no photo of "
        "it came. It applies to returns that are announced from then on.",
    )
    false_alarms: float = Field(
        0.02,
        gt=0,
        le=0.2,
        description="Wanted share of right returns that are called a mismatch. The thresholds of verdicts "
        "are chosen for it from the model's validation images. At most the same share of wrong returns is "
        "called a match. Verdicts on expected products have the same wanted share.",
    )
    reuse_days: int = Field(
        90,
        ge=0,
        le=3650,
        description="How many days back the photos of a scan are compared with earlier ones, to find the "
        "same photo again. 0: not at all.",
    )
