import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas
from vtn import triggers


class Migration(migrations.Migration):
    dependencies = [
        ("vtn", "0005_event_content"),
    ]

    operations = [
        migrations.CreateModel(
            name="EnrolmentCode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=64)),
                ("code_sha256", models.CharField(max_length=64, unique=True)),
                ("ven_name", models.CharField(max_length=128)),
                ("issued_at", models.DateTimeField()),
                ("issued_by", models.CharField(max_length=64)),
                ("expires_at", models.DateTimeField()),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("voided_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "vtn_enrolment_code",
            },
        ),
        migrations.CreateModel(
            name="RevocationList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("issuer", models.CharField(max_length=200)),
                ("number", models.PositiveIntegerField()),
                ("this_update", models.DateTimeField()),
                ("next_update", models.DateTimeField()),
                ("entries", models.PositiveIntegerField()),
                ("der", models.BinaryField()),
            ],
            options={
                "verbose_name": "certificate revocation list",
                "db_table": "vtn_revocation_list",
            },
        ),
        migrations.CreateModel(
            name="SeenNonce",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("nonce_sha256", models.CharField(max_length=64)),
                ("expires_wall_at", models.DateTimeField()),
            ],
            options={
                "db_table": "vtn_seen_nonce",
            },
        ),
        migrations.AddField(
            model_name="ven",
            name="security",
            field=models.CharField(
                choices=[("standard", "Standard (mutual TLS)"), ("high", "High (signed messages)")],
                default="standard",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="vencertificate",
            name="alarmed_days",
            field=models.PositiveSmallIntegerField(
                help_text="The lowest expiry alarm that has been given.", null=True
            ),
        ),
        migrations.AddField(
            model_name="vencertificate",
            name="first_used_wall_at",
            field=models.DateTimeField(help_text="When it first spoke for its VEN.", null=True),
        ),
        migrations.AddField(
            model_name="vencertificate",
            name="pem",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="vencertificate",
            name="revocation_code",
            field=models.CharField(
                choices=[
                    ("unspecified", "Unspecified"),
                    ("key_compromise", "Key lost or stolen"),
                    ("superseded", "Replaced by another certificate"),
                    ("cessation_of_operation", "Taken out of use"),
                ],
                default="unspecified",
                max_length=24,
            ),
        ),
        migrations.AddConstraint(
            model_name="ven",
            constraint=models.CheckConstraint(
                condition=models.Q(("security__in", ["standard", "high"])), name="ven_security_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="vencertificate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "revocation_code__in",
                        ["unspecified", "key_compromise", "superseded", "cessation_of_operation"],
                    )
                ),
                name="ven_certificate_code_known",
            ),
        ),
        migrations.AddField(
            model_name="enrolmentcode",
            name="ven",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="enrolment_codes",
                to="vtn.ven",
            ),
        ),
        migrations.AddConstraint(
            model_name="revocationlist",
            constraint=models.UniqueConstraint(
                fields=("issuer", "number"), name="vtn_revocation_list_number_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="revocationlist",
            constraint=models.CheckConstraint(
                condition=models.Q(("next_update__gt", models.F("this_update"))),
                name="vtn_revocation_list_runs_forward",
            ),
        ),
        migrations.AddField(
            model_name="seennonce",
            name="ven",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="seen_nonces", to="vtn.ven"
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(("subject", ""), _negated=True), name="vtn_enrolment_code_for_somebody"
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(("code_sha256__regex", "^[0-9a-f]{64}$")), name="vtn_enrolment_code_hashed"
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("issued_at"))),
                name="vtn_enrolment_code_runs_forward",
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(("used_at__isnull", True), ("voided_at__isnull", True), _connector="OR"),
                name="vtn_enrolment_code_used_or_voided",
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(("used_at__isnull", True), ("ven__isnull", False), _connector="OR"),
                name="vtn_enrolment_code_used_by_a_ven",
            ),
        ),
        migrations.AddConstraint(
            model_name="enrolmentcode",
            constraint=models.UniqueConstraint(
                condition=models.Q(("used_at__isnull", True), ("voided_at__isnull", True)),
                fields=("subject",),
                name="vtn_enrolment_code_one_open",
            ),
        ),
        migrations.AddIndex(
            model_name="seennonce",
            index=models.Index(fields=["expires_wall_at"], name="vtn_seen_nonce_age"),
        ),
        migrations.AddConstraint(
            model_name="seennonce",
            constraint=models.UniqueConstraint(fields=("ven", "nonce_sha256"), name="vtn_seen_nonce_once"),
        ),
        schemas.place("operations", "vtn_enrolment_code", "vtn_revocation_list", "vtn_seen_nonce"),
        migrations.RunSQL(triggers.CREATE_SECURITY, triggers.DROP_SECURITY),
    ]
