"""Django: migrations, ORM reads and writes, aggregation, transactions, inspectdb, with real models."""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
import uuid
from decimal import Decimal

import django
from checking import Check, equal
from django.conf import settings

env = os.environ
sys.modules["fleet"] = sys.modules["__main__"]  # the application whose models follow
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": env["PGDATABASE"],
            "USER": env["PGUSER"],
            "PASSWORD": env["PGPASSWORD"],
            "HOST": env["PGHOST"],
            "PORT": env["PGPORT"],
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "fleet"],
    USE_TZ=True,
    TIME_ZONE="Europe/Oslo",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import Permission, User  # noqa: E402 - the settings come first
from django.contrib.postgres.fields import ArrayField  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Max, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.fields.json import KT  # noqa: E402
from django.db.models.functions import Cast, Lower, Rank, TruncMonth  # noqa: E402

check = Check(django.get_version())


class Port(models.Model):
    name = models.CharField(max_length=40, unique=True)
    depth_m = models.DecimalField(max_digits=6, decimal_places=2, null=True)

    class Meta:
        app_label, db_table = "fleet", "ports"


class Boat(models.Model):
    port = models.ForeignKey(Port, models.CASCADE, related_name="boats")
    name = models.TextField(db_index=True)
    tags = ArrayField(models.CharField(max_length=10), default=list)
    details = models.JSONField(default=dict)
    built = models.DateField()
    seen = models.DateTimeField()
    token = models.UUIDField(default=uuid.uuid4)
    active = models.BooleanField(default=True)
    rest = models.DurationField(null=True)
    raw = models.BinaryField(null=True)

    class Meta:
        app_label, db_table = "fleet", "boats"
        constraints = [models.UniqueConstraint(fields=["port", "name"], name="one_name_a_port")]


SEEN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@check.part("migrate: contenttypes and auth, all migrations")
def _() -> None:
    call_command("migrate", verbosity=0)
    out = io.StringIO()
    call_command("showmigrations", stdout=out)
    assert "[ ]" not in out.getvalue(), out.getvalue()
    assert Permission.objects.count() >= 12


@check.part("auth: users, passwords, permissions, many to many")
def _() -> None:
    user = User.objects.create_user("ada", "ada@example.org", "secret")
    user.user_permissions.set(Permission.objects.filter(content_type__model="user").order_by("codename")[:3])
    found = User.objects.prefetch_related("user_permissions").get(username="ada")
    assert found.check_password("secret") and found.has_perm("auth.add_user"), found.get_all_permissions()
    equal(found.user_permissions.count(), 3)


@check.part("schema editor: tables with keys, indexes, constraints; alter")
def _() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Port)
        editor.create_model(Boat)
    with connection.schema_editor() as editor:
        extra = models.IntegerField(default=7)
        extra.set_attributes_from_name("extra")
        editor.add_field(Port, extra)
        editor.remove_field(Port, extra)


@check.part("ORM: create, bulk_create, get_or_create, update, F, Q, values")
def _() -> None:
    deep, shallow = Port.objects.create(name="Deep", depth_m=Decimal("30.50")), Port.objects.create(name="Shallow")
    Boat.objects.bulk_create(
        [
            Boat(
                port=deep if n % 3 else shallow,
                name=f"Boat {n}",
                tags=["a", "b"][: n % 3],
                details={"n": n, "deep": {"x": [n]}},
                built=dt.date(1990 + n, 1, 1),
                seen=SEEN + dt.timedelta(days=20 * n),
                rest=dt.timedelta(hours=n),
                raw=bytes([n]),
            )
            for n in range(20)
        ]
    )
    equal(Port.objects.get_or_create(name="Deep")[1], False)
    equal(Boat.objects.filter(Q(name__icontains="boat 1") & ~Q(port__name="Shallow")).count(), 8)
    equal(Port.objects.filter(name="Deep").update(depth_m=F("depth_m") + 1), 1)
    equal(Port.objects.get(name="Deep").depth_m, Decimal("31.50"))
    boat = Boat.objects.select_related("port").get(name="Boat 5")
    equal(
        (boat.port.name, boat.tags, boat.details["n"], boat.rest, bytes(boat.raw), boat.seen),
        ("Deep", ["a", "b"], 5, dt.timedelta(hours=5), b"\x05", SEEN + dt.timedelta(days=100)),
    )
    equal(
        list(Boat.objects.filter(built__year__in=[1991, 1993]).order_by("id").values_list("name", flat=True)),
        ["Boat 1", "Boat 3"],
    )


@check.part("ORM: aggregates, annotations, windows, subqueries, dates")
def _() -> None:
    equal(
        Boat.objects.aggregate(n=Count("id"), last=Max("built"), mean=Avg(Cast(KT("details__n"), models.IntegerField()))),
        {"n": 20, "last": dt.date(2009, 1, 1), "mean": 9.5},
    )
    rows = (
        Port.objects.annotate(n=Count("boats", filter=Q(boats__active=True)), total=Sum("boats__rest"))
        .order_by("-n")
        .values_list("name", "n", "total")
    )
    equal(list(rows), [("Deep", 13, dt.timedelta(hours=127)), ("Shallow", 7, dt.timedelta(hours=63))])
    newest = Boat.objects.filter(port=OuterRef("pk")).order_by("-built")
    equal(
        list(
            Port.objects.annotate(last=Subquery(newest.values("name")[:1])).order_by("name").values_list("last", flat=True)
        ),
        ["Boat 19", "Boat 18"],
    )
    ranks = Boat.objects.annotate(place=Window(Rank(), partition_by=F("port"), order_by=F("built").desc())).order_by(
        "place", "name"
    )[:2]
    equal([boat.name for boat in ranks], ["Boat 18", "Boat 19"])
    months = Boat.objects.annotate(month=TruncMonth("seen")).values("month").annotate(n=Count("id")).order_by("month")
    equal((months[0]["n"], months[0]["month"].month, sum(m["n"] for m in months)), (2, 3, 20))
    equal(list(Port.objects.annotate(low=Lower("name")).order_by("low").values_list("low", flat=True)), ["deep", "shallow"])


@check.part("ORM: arrays, JSON paths, union, iterator, exists, distinct, delete with cascade")
def _() -> None:
    equal(Boat.objects.filter(tags__contains=["b"]).count(), 6)
    equal(Boat.objects.filter(tags__len=1).count(), 7)
    equal(Boat.objects.filter(details__deep__x__0=4).get().name, "Boat 4")
    equal(Boat.objects.filter(details__n__gte=15).count(), 5)
    both = (
        Boat.objects.filter(name="Boat 1").values_list("name").union(Boat.objects.filter(name="Boat 2").values_list("name"))
    )
    equal(sorted(name for (name,) in both), ["Boat 1", "Boat 2"])
    with transaction.atomic():
        equal(sum(1 for _ in Boat.objects.order_by("id").iterator(chunk_size=7)), 20)
    equal(Boat.objects.filter(active=False).exists(), False)
    equal(Boat.objects.order_by("port_id").distinct("port_id").count(), 2)
    equal(Port.objects.get(name="Shallow").delete()[1], {"fleet.Boat": 7, "fleet.Port": 1})


@check.part("transactions: atomic, savepoints, integrity errors, select_for_update")
def _() -> None:
    try:
        with transaction.atomic():
            Port.objects.create(name="Gone")
            raise KeyError
    except KeyError:
        pass
    equal(Port.objects.filter(name="Gone").count(), 0)
    with transaction.atomic():
        try:
            with transaction.atomic():
                Port.objects.create(name="Deep")
        except IntegrityError:
            pass
        equal(Port.objects.select_for_update().get(name="Deep").name, "Deep")


@check.part("inspectdb: keys, lengths, relations, constraints")
def _() -> None:
    out = io.StringIO()
    call_command("inspectdb", "ports", "boats", stdout=out)
    text = out.getvalue()
    for wanted in (
        "name = models.CharField(unique=True, max_length=40)",
        "depth_m = models.DecimalField(max_digits=6, decimal_places=2",
        "port = models.ForeignKey(Ports, models.DO_NOTHING",
        "details = models.JSONField()",
        "token = models.UUIDField()",
        "id = models.BigAutoField(primary_key=True)",
        "unique_together = (('port', 'name'),)",
        "raw = models.BinaryField(",
    ):
        assert wanted in text, f"no {wanted} in {text}"


@check.part("introspection of all tables")
def _() -> None:
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        assert {"ports", "boats", "auth_user", "django_migrations"} <= set(names), names
        constraints = connection.introspection.get_constraints(cursor, "boats")
        equal(sorted(c["columns"] for c in constraints.values() if c["foreign_key"]), [["port_id"]])
        equal(constraints["one_name_a_port"]["unique"], True)
        equal(connection.introspection.get_primary_key_column(cursor, "boats"), "id")


check.run()
