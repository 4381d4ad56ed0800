"""Where files, models, the database and the broker are."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator
from pydantic_settings import NoDecode

from returns_pipeline.settings.places import SHIPPED
from returns_pipeline.settings.values import Intake, parse_folder, parse_intakes, parse_store

#: A folder of photos, on this machine or in an object store.
PhotoFolder = Annotated[Path, NoDecode, PlainValidator(parse_folder)]


class PlaceSettings(BaseModel):
    """Where files, models, the database and the broker are."""

    home: Path = Field(Path("var"), description="Folder of all files whose place is not set otherwise.")
    incoming_dir: PhotoFolder = Field(
        Path(),
        description="Intake folder, scanned with its subfolders; `s3://BUCKET/PREFIX`, `gs://` or `az://` is "
        "one in an object store. Default: HOME/incoming.",
    )
    feed_dir: Path = Field(
        Path(),
        description="Folder for photos that are fetched from the addresses of feeds; a subfolder for each "
        "feed is its intake. All workers share it. Default: HOME/feeds.",
    )
    intakes: Annotated[tuple[Intake, ...], NoDecode, PlainValidator(parse_intakes)] = Field(
        (),
        description="Several intake folders, each with its own model: `MODEL=FOLDER,MODEL=FOLDER`. "
        "`MODEL=feed:FILE` is a feed, a file with the addresses of photos. Each is "
        "scanned every night; INCOMING_DIR and MODEL are then not used for scans. Default: none.",
    )
    archive_dir: PhotoFolder = Field(
        Path(), description="Folder for classified images, here or in an object store. Default: HOME/archive."
    )
    quarantine_dir: PhotoFolder = Field(
        Path(),
        description="Folder for images that could not be classified, here or in an object store. Default: "
        "HOME/quarantine.",
    )
    report_dir: PhotoFolder = Field(
        Path(), description="Folder for reports, here or in an object store. Default: HOME/reports."
    )
    spool_dir: PhotoFolder = Field(
        Path(),
        description="Folder for images that were sent over HTTP and wait for a worker, here or in an object "
        "store. Default: HOME/spool.",
    )
    object_links: Literal["stream", "presigned"] = Field(
        "stream",
        description="How the web gives photos and reports of an object store to a browser. stream: it sends "
        "them itself. presigned: it sends an address of the store that works for 5 minutes; and the page "
        "Upload sends photos for an intake in a store there.",
    )
    manifest_dir: Path = Field(
        Path(),
        description="Folder for manifests, the files that announce returns. They are imported before each "
        "night's scan. Default: HOME/manifests.",
    )
    catalogue_dir: PhotoFolder = Field(
        Path(),
        description="Folder for pictures of products that a program names by a path, or a file that lies "
        "elsewhere; here or in an object store. Pictures below the folder of a products file need none. "
        "Default: HOME/catalogue.",
    )
    models_dir: Path = Field(
        SHIPPED / "models",
        description="Folder of the model bundles, NAME/VERSION; one in an object store sets MODELS_STORE. "
        "Default: the shipped ones.",
    )
    models_store: Annotated[str, AfterValidator(parse_store)] = Field(
        "",
        description="Folder of an object store that has the model bundles. Each machine keeps a copy in "
        "MODELS_DIR, which is HOME/model-copies then. Default: none.",
        json_schema_extra={"allowed": "`s3://BUCKET/PREFIX`, `gs://` or `az://`"},
    )
    spaces_dir: Path = Field(
        SHIPPED / "spaces",
        description="Folder of the embedding spaces, NAME/VERSION, in which pictures of products are "
        "compared. Default: the shipped ones.",
    )
    space: str = Field(
        "products", description="Embedding space of the catalogue: NAME, the newest version, or NAME/VERSION."
    )
    database_url: str = Field(
        "",
        repr=False,  # may contain a password, like the next one
        description="SQLAlchemy URL of SQLite or PostgreSQL. Default: the SQLite file HOME/returns.sqlite3.",
    )
    broker_url: str = Field(
        "",
        repr=False,
        description="URL of Redis (`redis://`), of Redis with TLS (`rediss://`) or of its Sentinels "
        "(`sentinel://HOST:PORT;sentinel://HOST:PORT`), with parameters; see operations. Default: the socket "
        "of the embedded Redis of HOME, which `returns-pipeline up` starts.",
    )
