"""SQL that Django's model language cannot say; members 0002 runs it."""

from __future__ import annotations

from typing import Final

MEMBER_NUMBER_SEQUENCE: Final = "identity.members_member_number_seq"

CREATE_MEMBER_NUMBERS: Final = (
    f"CREATE SEQUENCE {MEMBER_NUMBER_SEQUENCE} OWNED BY identity.members_member.number"
)
DROP_MEMBER_NUMBERS: Final = f"DROP SEQUENCE IF EXISTS {MEMBER_NUMBER_SEQUENCE}"

HASH_IS_OF_THE_BODY: Final = """
    ALTER TABLE identity.members_consenttext ADD CONSTRAINT consenttext_hash_is_of_the_body
    CHECK (body_sha256 = encode(sha256(convert_to(body, 'UTF8')), 'hex'))
"""
DROP_HASH_IS_OF_THE_BODY: Final = (
    "ALTER TABLE identity.members_consenttext DROP CONSTRAINT IF EXISTS consenttext_hash_is_of_the_body"
)

CONSENT_ONLY_ENDS: Final = """
    CREATE FUNCTION identity.consent_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE'
            OR (to_jsonb(NEW) - 'ends_at' - 'end_reason') IS DISTINCT FROM
               (to_jsonb(OLD) - 'ends_at' - 'end_reason')
            OR (OLD.ends_at IS NOT NULL AND (NEW.ends_at IS NULL OR NEW.ends_at > OLD.ends_at))
        THEN
            RAISE EXCEPTION 'consent_only_ends: a consent is never rewritten, reopened or deleted'
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'consent_only_ends';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER consent_only_ends BEFORE UPDATE OR DELETE ON identity.members_consent
        FOR EACH ROW EXECUTE FUNCTION identity.consent_only_ends();
"""
DROP_CONSENT_ONLY_ENDS: Final = """
    DROP TRIGGER IF EXISTS consent_only_ends ON identity.members_consent;
    DROP FUNCTION IF EXISTS identity.consent_only_ends();
"""

TERMS_HASH_IS_OF_THE_BODY: Final = """
    ALTER TABLE identity.members_termstext ADD CONSTRAINT termstext_hash_is_of_the_body
    CHECK (body_sha256 = encode(sha256(convert_to(body, 'UTF8')), 'hex'))
"""
DROP_TERMS_HASH_IS_OF_THE_BODY: Final = (
    "ALTER TABLE identity.members_termstext DROP CONSTRAINT IF EXISTS termstext_hash_is_of_the_body"
)
