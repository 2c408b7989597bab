"""SQL of the settlement migrations: what the database itself promises about money.

Runs, deliveries, terms, statements and the ledger are append-only, and every ledger entry has two postings or
more that sum to zero, checked once an entry at commit whoever wrote it and however.
"""

from __future__ import annotations

from typing import Final

from django.db import migrations

APPEND_ONLY: Final = (
    "settlement_settlementterms",
    "settlement_entry",
    "settlement_posting",
    "settlement_settlementround",
    "settlement_rounddecision",
    "settlement_settlementrun",
    "settlement_runarchive",
    "settlement_homedelivery",
    "settlement_statement",
    "settlement_sharepolicyversion",
    "settlement_giftchoice",
    "settlement_bankdetail",
    "settlement_paymentbatch",
    "settlement_batchdecision",
    "settlement_payment",
    "settlement_paymentevent",
    "settlement_remittance",
    "settlement_dispute",
    "settlement_disputeoutcome",
    "settlement_society",
    "settlement_surplusresolution",
    "settlement_surplusproposal",
    "settlement_surplusdecision",
    "settlement_deviceestimate",
)
TABLES: Final = (
    *APPEND_ONLY,
    "settlement_account",
    "settlement_roundprogress",
    "settlement_hardshipmark",
    "settlement_placebostudy",
    "settlement_statementfiles",
    "settlement_statementfilespart",
    "settlement_eventafter",
    "settlement_monthfigures",
)

# Not by a check constraint: who proposed is in the round's row.
CREATE_TWO_PEOPLE: Final = """
CREATE FUNCTION money.require_two_people() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
DECLARE
    proposed settlement_settlementround%ROWTYPE;
BEGIN
    SELECT * INTO proposed FROM settlement_settlementround WHERE id = NEW.round_id;
    IF NEW.verdict = 'approved' AND proposed.kind <> 'provisional'
       AND (NEW.by_id IS NULL OR NEW.by_id = proposed.proposed_by_id) THEN
        RAISE EXCEPTION 'round % needs the approval of a second person', NEW.round_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rounddecision_two_people';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER settlement_rounddecision_two_people BEFORE INSERT ON money.settlement_rounddecision
FOR EACH ROW EXECUTE FUNCTION money.require_two_people();
CREATE FUNCTION money.require_two_payers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
BEGIN
    IF NEW.verdict = 'approved' AND NEW.by_id = (
        SELECT proposed_by_id FROM settlement_paymentbatch WHERE id = NEW.batch_id
    ) THEN
        RAISE EXCEPTION 'batch % needs the approval of a second person', NEW.batch_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'batchdecision_two_people';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER settlement_batchdecision_two_people BEFORE INSERT ON money.settlement_batchdecision
FOR EACH ROW EXECUTE FUNCTION money.require_two_payers();
ALTER TABLE money.settlement_runarchive ALTER COLUMN data SET STORAGE EXTERNAL;
"""
DROP_TWO_PEOPLE: Final = """
DROP TRIGGER settlement_rounddecision_two_people ON money.settlement_rounddecision;
DROP FUNCTION money.require_two_people();
DROP TRIGGER settlement_batchdecision_two_people ON money.settlement_batchdecision;
DROP FUNCTION money.require_two_payers();
"""
CREATE_TWO_SHARERS: Final = """
CREATE FUNCTION money.require_two_sharers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
BEGIN
    IF NEW.verdict = 'approved' AND (NEW.by_id IS NULL OR NEW.by_id = (
        SELECT proposed_by_id FROM settlement_surplusproposal WHERE id = NEW.proposal_id
    )) THEN
        RAISE EXCEPTION 'the surplus of proposal % needs the approval of a second person', NEW.proposal_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'surplusdecision_two_people';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER settlement_surplusdecision_two_people BEFORE INSERT ON money.settlement_surplusdecision
FOR EACH ROW EXECUTE FUNCTION money.require_two_sharers();
"""
DROP_TWO_SHARERS: Final = """
DROP TRIGGER settlement_surplusdecision_two_people ON money.settlement_surplusdecision;
DROP FUNCTION money.require_two_sharers();
"""

# Tests that commit clean up by TRUNCATE; they say so in their session (tests/conftest.py). Nothing else does.
CREATE_REFUSE_TRUNCATE: Final = """
CREATE FUNCTION money.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('opendsr.allow_truncate', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION '% is append-only: TRUNCATE refused', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$
"""
DROP_REFUSE_TRUNCATE: Final = "DROP FUNCTION money.refuse_truncate()"

# A deferred trigger can only be FOR EACH ROW, and summing an entry once for each of its postings is
# quadratic. So each statement queues the entries it touched, and the deferred trigger is on that queue, which
# is empty again when the transaction commits.
CREATE_PROOF: Final = """
CREATE UNLOGGED TABLE money.settlement_entry_unproved (entry_id uuid PRIMARY KEY);

CREATE FUNCTION money.queue_proof_of_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
BEGIN
    INSERT INTO settlement_entry_unproved (entry_id)
    SELECT id FROM fresh ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION money.queue_proof_of_postings() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
BEGIN
    INSERT INTO settlement_entry_unproved (entry_id)
    SELECT DISTINCT entry_id FROM fresh ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION money.prove_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
DECLARE
    legs bigint;
    total numeric;
BEGIN
    DELETE FROM settlement_entry_unproved WHERE entry_id = NEW.entry_id;
    SELECT count(*), coalesce(sum(amount_mp), 0) INTO legs, total
    FROM settlement_posting WHERE entry_id = NEW.entry_id;
    IF legs < 2 THEN
        RAISE EXCEPTION 'ledger entry % has % posting(s): it needs two or more', NEW.entry_id, legs
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_has_two_postings';
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'ledger entry % sums to % mp, not to zero', NEW.entry_id, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_sums_to_zero';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER settlement_entry_queue AFTER INSERT ON money.settlement_entry
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION money.queue_proof_of_entry();
CREATE TRIGGER settlement_posting_queue AFTER INSERT ON money.settlement_posting
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION money.queue_proof_of_postings();
CREATE CONSTRAINT TRIGGER settlement_entry_sums_to_zero AFTER INSERT ON money.settlement_entry_unproved
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION money.prove_entry();
"""
DROP_PROOF: Final = """
DROP TRIGGER settlement_posting_queue ON money.settlement_posting;
DROP TRIGGER settlement_entry_queue ON money.settlement_entry;
DROP TABLE money.settlement_entry_unproved;
DROP FUNCTION money.prove_entry();
DROP FUNCTION money.queue_proof_of_postings();
DROP FUNCTION money.queue_proof_of_entry();
"""

# Two foreign keys are looked up a row at a time: 20,000 look-ups for a run of 10,000 homes, more than its
# lines take to write. These triggers promise the same for all lines of a statement at once. Runs are never
# deleted; a home's stay is held as a foreign key holds it, and cannot go while a line tells of it.
CREATE_LINES_KNOWN: Final = """
CREATE FUNCTION money.require_known_lines() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, identity, pg_temp AS $$
DECLARE
    asked bigint;
    held bigint;
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT run_id FROM fresh) AS line
        LEFT JOIN settlement_settlementrun AS run ON run.id = line.run_id WHERE run.id IS NULL
    ) THEN
        RAISE EXCEPTION 'a household line of a settlement run that is not there'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'homedelivery_of_a_run';
    END IF;
    SELECT count(DISTINCT occupancy_id) INTO asked FROM fresh;
    PERFORM FROM members_occupancy WHERE id IN (SELECT occupancy_id FROM fresh) FOR KEY SHARE;
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held < asked THEN
        RAISE EXCEPTION '% household line(s) of occupancies that are not there', asked - held
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'homedelivery_of_an_occupancy';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER settlement_homedelivery_known AFTER INSERT ON money.settlement_homedelivery
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION money.require_known_lines();

CREATE FUNCTION money.keep_settled_occupancy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = money, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM settlement_homedelivery WHERE occupancy_id = OLD.id) THEN
        RAISE EXCEPTION 'occupancy % has household lines of settlement runs', OLD.id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'homedelivery_of_an_occupancy';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER members_occupancy_settled AFTER DELETE OR UPDATE OF id ON identity.members_occupancy
FOR EACH ROW EXECUTE FUNCTION money.keep_settled_occupancy();
"""
DROP_LINES_KNOWN: Final = """
DROP TRIGGER members_occupancy_settled ON identity.members_occupancy;
DROP FUNCTION money.keep_settled_occupancy();
DROP TRIGGER settlement_homedelivery_known ON money.settlement_homedelivery;
DROP FUNCTION money.require_known_lines();
"""


def refuse_truncate(table: str) -> migrations.RunSQL:
    """Operation that makes PostgreSQL refuse TRUNCATE on a table of the money schema."""
    return migrations.RunSQL(
        sql=f'CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON money."{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_truncate()",
        reverse_sql=f'DROP TRIGGER "{table}_no_truncate" ON money."{table}"',
    )
