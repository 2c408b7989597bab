"""The reading store: half-hourly energy by random stream id, every revision kept, and each import's record.

Readings come in through `ingest.py` only and leave through `store.py`. New ones are narrow rows (`HalfHour`);
once their day is closed `packing.py` moves the newest revision of each into a `PackedWeek`, the others into
`SupersededHalfHour`. Live power and what is counted of it stand apart, with short lives. The stream id has no
foreign key on purpose: the link to a household is `members.MeterStream`, in another schema under its own key.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value


class Quality(models.IntegerChoices):
    """How a reading came about, best first; a missing half-hour has no row."""

    MEASURED = 0
    ESTIMATED = 1
    SUBSTITUTED = 2


class HalfHourGrid(Func):
    """The instant's half-hour start, in immutable arithmetic that a CHECK constraint may use."""

    function = "date_bin"
    template = "%(function)s('30 minutes', %(expressions)s, TIMESTAMPTZ '2000-01-01 00:00:00+00')"
    output_field = models.DateTimeField()


class Source(models.Model):
    """Where readings come from, as a small number in the big table; `sources.py` ranks the codes."""

    id = models.SmallAutoField(primary_key=True)
    code = models.CharField(max_length=24, unique=True)

    def __str__(self) -> str:
        return self.code


class ImportRun(models.Model):
    """One file or batch offered to the store: how many rows landed and what happened to the rest."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=24, help_text="Source code, e.g. lcl_csv")
    name = models.CharField(max_length=200, help_text="File or message name as given")
    convention = models.CharField(max_length=120, blank=True, help_text="How stamps and values were read")
    content_sha256 = models.CharField(max_length=64, blank=True)
    imported_at = models.DateTimeField(help_text="World time")
    rows_read = models.PositiveIntegerField(default=0)
    rows_landed = models.PositiveIntegerField(default=0)
    rows_corrected = models.PositiveIntegerField(
        default=0, help_text="Of those landed, how many replaced a value"
    )
    rows_summed = models.PositiveIntegerField(
        default=0, help_text="Kept only in the total of their day or month"
    )
    rows_unchanged = models.PositiveIntegerField(default=0)
    rows_rejected = models.PositiveIntegerField(default=0)
    gap_half_hours = models.PositiveIntegerField(
        default=0, help_text="Half-hours missing between those offered"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    rows_read=models.F("rows_landed")
                    + models.F("rows_summed")
                    + models.F("rows_unchanged")
                    + models.F("rows_rejected")
                ),
                name="importrun_every_row_accounted_for",
            ),
            models.CheckConstraint(
                condition=Q(rows_corrected__lte=models.F("rows_landed")), name="importrun_corrections_landed"
            ),
        ]
        # Asked at each import: was this very content offered before?
        indexes: ClassVar = [models.Index(fields=["content_sha256", "source"], name="importrun_by_content")]

    def __str__(self) -> str:
        return f"{self.source} {self.name}"


class ImportReject(models.Model):
    """A row that did not land: line, value and reason; one entry may stand for many rows of a meter."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rejects", db_index=False)
    line = models.PositiveIntegerField()
    field = models.CharField(max_length=40)
    value = models.CharField(max_length=200)
    code = models.CharField(max_length=24)
    reason = models.CharField(max_length=300)
    rows = models.PositiveIntegerField(default=1)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["run", "line"], name="importreject_by_run")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class ImportGap(models.Model):
    """Half-hours that a file skipped: `half_hours` of them from `starts_at`, after the row in `line`."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="gaps", db_index=False)
    line = models.PositiveIntegerField()
    stream_id = models.UUIDField()
    starts_at = models.DateTimeField()
    half_hours = models.PositiveIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["run", "line"], name="importgap_by_run")]

    def __str__(self) -> str:
        return f"{self.half_hours} half-hours from {self.starts_at:%Y-%m-%d %H:%M}"


class HalfHour(models.Model):
    """One half-hour of one stream as one source knew it; a correction is a higher revision, never an edit.

    `import_wh` and `export_wh` are apart and non-negative; a missing half-hour has no row. Columns are sized
    and ordered for a table of many millions. `source` and `run` are held by `ingest.py` and not by foreign
    keys, whose triggers would cost more than the rows.
    """

    pk = models.CompositePrimaryKey("stream_id", "starts_at", "source_id", "revision")
    starts_at = models.DateTimeField()
    known_at = models.DateTimeField(help_text="World time at which the store learned it")
    run = models.ForeignKey(
        ImportRun, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    stream_id = models.UUIDField()
    import_wh = models.PositiveIntegerField()
    export_wh = models.PositiveIntegerField(default=0)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    revision = models.PositiveSmallIntegerField(default=0)
    quality = models.PositiveSmallIntegerField(choices=Quality.choices, default=Quality.MEASURED)

    class Meta:
        db_table = "metering_half_hour"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(starts_at=HalfHourGrid("starts_at")), name="half_hour_on_the_grid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.starts_at:%Y-%m-%d %H:%M} r{self.revision}"


class SupersededHalfHour(models.Model):
    """A revision that a later one replaced, of a packed half-hour: the past can be recalled."""

    pk = models.CompositePrimaryKey("stream_id", "starts_at", "source_id", "revision")
    starts_at = models.DateTimeField()
    known_at = models.DateTimeField()
    run = models.ForeignKey(
        ImportRun, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    stream_id = models.UUIDField()
    import_wh = models.PositiveIntegerField()
    export_wh = models.PositiveIntegerField(default=0)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    revision = models.PositiveSmallIntegerField(default=0)
    quality = models.PositiveSmallIntegerField(choices=Quality.choices, default=Quality.MEASURED)

    class Meta:
        db_table = "metering_superseded"

    def __str__(self) -> str:
        return f"{self.stream_id} {self.starts_at:%Y-%m-%d %H:%M} r{self.revision}"


class PackedWeek(models.Model):
    """The newest revisions of a stream's closed half-hours of one week (`block`) from one source, packed.

    `packed.py` tells what `form`, `payload` and `detail` mean. Rows are written by `packing.py` only.
    """

    pk = models.CompositePrimaryKey("stream_id", "block", "source_id")
    latest_known_at = models.DateTimeField(help_text="When the store learned the newest of these readings")
    run_id = models.BigIntegerField()
    stream_id = models.UUIDField()
    block = models.IntegerField()
    first_slot = models.IntegerField(help_text="The earliest half-hour held, since 1970")
    past_slot = models.IntegerField(help_text="One past the latest")
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    form = models.PositiveSmallIntegerField()
    payload = models.BinaryField()
    detail = models.BinaryField(default=b"")

    class Meta:
        db_table = "metering_packed"
        # Asked at each import: may any of this be packed already?
        indexes: ClassVar = [models.Index(fields=["past_slot"], name="packed_by_past_slot")]

    def __str__(self) -> str:
        return f"{self.stream_id} week {self.block}"


class LivePower(models.Model):
    """One raw power sample of a household that consents to live readings; `partitions.py` drops old weeks."""

    pk = models.CompositePrimaryKey("stream_id", "at", "source_id")
    at = models.DateTimeField()
    stream_id = models.UUIDField()
    power_w = models.IntegerField(help_text="+ import, - export")
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        db_table = "metering_live"
        verbose_name_plural = "live power"

    def __str__(self) -> str:
        return f"{self.stream_id} {self.at:%Y-%m-%d %H:%M:%S} {self.power_w} W"


class OpenHalfHour(models.Model):
    """A half-hour with live samples: due to be made a reading of, and what was counted of it without a trace.

    `seen` has a bit for each 10-second tick counted into the sums; it is empty where raw samples are kept.
    """

    pk = models.CompositePrimaryKey("stream_id", "starts_at", "source_id")
    stream_id = models.UUIDField()
    starts_at = models.DateTimeField()
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    is_due = models.BooleanField(db_default=True)
    seen = models.BinaryField(db_default=Value(bytes(23)))
    imported_w_ticks = models.BigIntegerField(db_default=0)
    exported_w_ticks = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "metering_open_half_hour"
        indexes: ClassVar = [
            models.Index(fields=["starts_at"], name="open_half_hour_due", condition=Q(is_due=True))
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.starts_at:%Y-%m-%d %H:%M}"


class Refusal(models.Model):
    """How many live samples of a source were refused on a day (UTC), by reason."""

    pk = models.CompositePrimaryKey("on_date", "source_id", "code")
    on_date = models.DateField()
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    code = models.CharField(max_length=24)
    rows = models.BigIntegerField()

    class Meta:
        db_table = "metering_refusal"

    def __str__(self) -> str:
        return f"{self.on_date} {self.code}: {self.rows}"


class RetentionRule(models.Model):
    """How many days one kind of reading is kept; `retention.py` says what each kind covers."""

    class Kind(models.TextChoices):
        """What a rule is about."""

        LIVE = "live", "Raw live power, after it was measured"
        LIVE_WITHDRAWN = "live_withdrawn", "Raw live power, after the consent to it ended"
        HALF_HOURLY = "half_hourly", "Half-hours and totals, after they were"
        WITHDRAWN = "withdrawn", "Half-hours and totals, after every consent to readings ended"
        MESSAGES = "messages", "Messages that were not simply stored, after the latest of the kind"

    kind = models.CharField(max_length=16, primary_key=True, choices=Kind.choices)
    keep_days = models.PositiveIntegerField()

    class Meta:
        db_table = "metering_retention_rule"

    def __str__(self) -> str:
        return f"{self.kind}: {self.keep_days} days"


class HalfHourlyRate(models.Model):
    """What a kWh of a half-hour costs, earns or emits, and how warm it was: what the co-op follows, not
    anybody's own bill.
    """

    class Kind(models.TextChoices):
        """What the value is, and its unit."""

        IMPORT_PRICE = "import_price", "Price of electricity used, p/kWh"
        EXPORT_PRICE = "export_price", "Price paid for electricity sent out, p/kWh"
        CARBON = "carbon", "Carbon intensity, g CO2/kWh"
        TEMPERATURE = "temperature", "Outdoor temperature, °C"

    pk = models.CompositePrimaryKey("kind", "starts_at")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    starts_at = models.DateTimeField()
    value = models.DecimalField(max_digits=9, decimal_places=4)
    source = models.CharField(max_length=24, help_text="Adapter that read it")
    known_at = models.DateTimeField(help_text="World time")

    class Meta:
        db_table = "metering_rate"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(starts_at=HalfHourGrid("starts_at")), name="rate_on_the_half_hour_grid"
            ),
            models.CheckConstraint(
                condition=~Q(kind="carbon") | Q(value__gte=0), name="rate_carbon_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.starts_at:%Y-%m-%d %H:%M}Z: {self.value}"


class PeriodTotal(models.Model):
    """A day's or month's energy of a household that consents to nothing finer; its half-hours are not kept.

    `counted` has a bit for each half-hour of the period in the sums, so that one told twice counts once.
    """

    class Granularity(models.TextChoices):
        """How long the period is, in Europe/London dates."""

        DAILY = "daily"
        MONTHLY = "monthly"

    pk = models.CompositePrimaryKey("stream_id", "starts_on", "granularity", "source_id")
    stream_id = models.UUIDField()
    starts_on = models.DateField(help_text="Europe/London date")
    ends_on = models.DateField(help_text="The day after the last")
    granularity = models.CharField(max_length=8, choices=Granularity.choices)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    import_wh = models.BigIntegerField(default=0)
    export_wh = models.BigIntegerField(default=0)
    half_hours = models.PositiveSmallIntegerField(default=0, help_text="How many are in the sums")
    counted = models.BinaryField(default=b"")
    known_at = models.DateTimeField(help_text="World time at which the store last learned of it")

    class Meta:
        db_table = "metering_period_total"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_on__gt=models.F("starts_on")), name="total_runs_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.starts_on} {self.granularity}"


class Completeness(models.Model):
    """How many of a day's half-hours were there one day and three days after it, of those consented to."""

    day = models.DateField(primary_key=True, help_text="Europe/London date")
    expected = models.PositiveBigIntegerField()
    by_d1 = models.PositiveBigIntegerField()
    by_d3 = models.PositiveBigIntegerField(null=True)

    class Meta:
        db_table = "metering_completeness"
        verbose_name_plural = "completeness"

    def __str__(self) -> str:
        return f"{self.day}: {self.by_d1} of {self.expected}"


class MissingDay(models.Model):
    """How many of a day's half-hours were missing for one cause, counted once, three days after it."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField(help_text="Europe/London date")
    cause = models.CharField(max_length=8, help_text="One of `causes.Cause`")
    half_hours = models.PositiveBigIntegerField()

    class Meta:
        db_table = "metering_missing_day"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "cause"], name="missing_day_one_a_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.cause}: {self.half_hours}"


class PartnerMonth(models.Model):
    """Whom a partner's totals of a month are about, fixed when the month is told; see `partner_totals.py`."""

    id = models.BigAutoField(primary_key=True)
    partner_id = models.UUIDField()
    starts_on = models.DateField(help_text="First Europe/London date of the month")
    homes = models.PositiveIntegerField(help_text="0 where there are too few to tell of")
    stream_ids = ArrayField(models.UUIDField(), help_text="Forgotten after a few years")
    told_at = models.DateTimeField(help_text="World time")

    class Meta:
        db_table = "metering_partner_month"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["partner_id", "starts_on"], name="partnermonth_told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.partner_id} {self.starts_on:%Y-%m}"


class PartnerDay(models.Model):
    """What a partner was told of a day: a total over many homes, or nothing and why. Never changed."""

    class Withheld(models.TextChoices):
        """Why a total is not told."""

        TOO_FEW = "too_few", "too few homes with every half-hour"
        STANDS_OUT = "stands_out", "one home would stand out"

    pk = models.CompositePrimaryKey("month_id", "day")
    month = models.ForeignKey(PartnerMonth, on_delete=models.PROTECT, related_name="days", db_index=False)
    day = models.DateField(help_text="Europe/London date")
    homes = models.PositiveIntegerField(default=0, help_text="Homes in the total")
    import_wh = models.BigIntegerField(null=True)
    export_wh = models.BigIntegerField(null=True, help_text="Absent where it would tell of one home")
    withheld = models.CharField(max_length=12, choices=Withheld.choices, blank=True)

    class Meta:
        db_table = "metering_partner_day"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(withheld="", import_wh__isnull=False, homes__gte=15)
                | (~Q(withheld="") & Q(import_wh__isnull=True, export_wh__isnull=True, homes=0)),
                name="partnerday_of_many_or_nothing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month_id} {self.day}"


from metering import intake_models as intake_models  # noqa: E402 - its tables belong to this room
