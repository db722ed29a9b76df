// JDBC (pgjdbc): fetch size, server prepare, binary, batches, metadata, savepoints, COPY, arrays, cancel, LISTEN.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

public class Jdbc {

  static final String LONG = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b";

  interface Part {
    void run() throws Exception;
  }

  interface Statements {
    void run(Connection db) throws Exception;
  }

  static boolean failed = false;

  static void part(String what, Part part) {
    try {
      part.run();
      System.out.println("ok " + what);
    } catch (Throwable error) {
      failed = true;
      String place = Arrays.stream(error.getStackTrace())
        .filter(f -> "Jdbc.java".equals(f.getFileName()) && !f.getMethodName().equals("equal"))
        .map(f -> ":" + f.getLineNumber())
        .findFirst()
        .orElse("");
      System.out.println(
        "failed " + what + ": " + String.valueOf(error).replaceAll("\\s+", " ") + " (Jdbc.java" + place + ")"
      );
    }
  }

  static void equal(Object got, Object want) {
    boolean same =
      got instanceof byte[] g && want instanceof byte[] w
        ? Arrays.equals(g, w)
        : got instanceof Object[] g && want instanceof Object[] w
          ? Arrays.deepEquals(g, w)
          : Objects.equals(got, want);
    if (!same) throw new AssertionError("got " + shown(got) + ", want " + shown(want));
  }

  static String shown(Object value) {
    return value instanceof Object[] array
      ? Arrays.deepToString(array)
      : value + (value == null ? "" : " " + value.getClass().getSimpleName());
  }

  static SQLException fails(Part part, String state) throws Exception {
    try {
      part.run();
    } catch (SQLException error) {
      if (!state.equals(error.getSQLState())) throw new AssertionError(
        "got " + error.getSQLState() + " " + error.getMessage() + ", want " + state
      );
      return error;
    }
    throw new AssertionError("no error, want SQLSTATE " + state);
  }

  static Connection connect(String... options) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
    return DriverManager.getConnection(
      "jdbc:postgresql://%s:%s/%s".formatted(System.getenv("PGHOST"), System.getenv("PGPORT"), System.getenv("PGDATABASE")),
      properties
    );
  }

  static void with(Statements statements, String... options) throws Exception {
    try (Connection db = connect(options)) {
      statements.run(db);
    }
  }

  /** Every row of a result: the chosen columns joined by a bar. */
  static String rows(ResultSet rows, String... columns) throws SQLException {
    List<String> lines = new ArrayList<>();
    while (rows.next()) {
      List<String> values = new ArrayList<>();
      for (String column : columns) values.add(rows.getString(column));
      lines.add(String.join("|", values));
    }
    rows.close();
    return String.join(" ", lines);
  }

  static Object one(Connection db, String sql, Object... parameters) throws SQLException {
    try (PreparedStatement statement = db.prepareStatement(sql)) {
      for (int i = 0; i < parameters.length; i++) statement.setObject(i + 1, parameters[i]);
      ResultSet rows = statement.executeQuery();
      rows.next();
      return rows.getObject(1);
    }
  }

  static void types(Connection db, boolean simple) throws Exception {
    Object[][] values = {
      { "bool", true },
      { "int2", -32768 },
      { "int4", Integer.MIN_VALUE },
      { "int8", Long.MIN_VALUE },
      { "float4", 0.5f },
      { "float8", 1e-7 },
      { "float8", Double.POSITIVE_INFINITY },
      { "numeric", new BigDecimal("12345678901234567890.1230") },
      { "numeric", new BigDecimal("-0.00001") },
      { "numeric", new BigDecimal("10000") },
      { "text", "Göteborg 気仙沼" },
      { "varchar", "" },
      { "bytea", new byte[] { 0, 1, 92, -1 } },
      { "uuid", UUID.fromString("8f2a1f6e-1c1c-4d3e-9b6a-1f2e3d4c5b6a") },
      { "date", java.sql.Date.valueOf("2024-02-29") },
      { "timestamp", Timestamp.valueOf("1901-01-02 03:04:05.000006") },
      { "timestamptz", Timestamp.from(Instant.parse("2026-03-29T01:30:00.5Z")) },
      { "time", Time.valueOf("23:59:59") },
    };
    for (
      int run = 0;
      run < 7;
      run++ // past the prepare threshold results become binary; in simple mode the driver has no bytea
    ) for (Object[] value : values)
      if (!simple || !(value[1] instanceof byte[])) equal(one(db, "SELECT CAST(? AS " + value[0] + ")", value[1]), value[1]);
  }

  public static void main(String[] arguments) throws Exception {
    System.out.println("version: " + org.postgresql.Driver.class.getPackage().getImplementationVersion());
    part("types, text then binary", () -> with(db -> types(db, false)));
    part("types, binary at once", () -> with(db -> types(db, false), "prepareThreshold", "-1"));
    part("types, text only", () -> with(db -> types(db, false), "binaryTransfer", "false"));
    part("types, simple protocol", () -> with(db -> types(db, true), "preferQueryMode", "simple"));
    part("java.time, calendars and infinity", () ->
      with(db -> {
        try (
          PreparedStatement statement = db.prepareStatement(
            "SELECT ?::timestamptz, ?::timestamp, ?::date, ?::timetz, ?::timestamptz, 'infinity'::timestamptz"
          )
        ) {
          OffsetDateTime moment = OffsetDateTime.parse("2026-03-29T03:30:00.123456+02:00");
          Calendar tokyo = Calendar.getInstance(TimeZone.getTimeZone("Asia/Tokyo"));
          statement.setObject(1, moment);
          statement.setObject(2, LocalDateTime.parse("2026-03-29T02:30:00"));
          statement.setObject(3, LocalDate.of(-43, 3, 15));
          statement.setObject(4, OffsetTime.parse("10:00:00+05:30"));
          statement.setTimestamp(5, Timestamp.from(moment.toInstant()), tokyo);
          for (int run = 0; run < 7; run++) {
            ResultSet row = statement.executeQuery();
            row.next();
            equal(row.getObject(1, OffsetDateTime.class).toInstant(), moment.toInstant());
            equal(row.getObject(2, LocalDateTime.class), LocalDateTime.parse("2026-03-29T02:30:00"));
            equal(row.getObject(3, LocalDate.class), LocalDate.of(-43, 3, 15));
            equal(row.getTimestamp(5, tokyo).toInstant(), moment.toInstant());
            equal(row.getObject(6, OffsetDateTime.class), OffsetDateTime.MAX);
          }
        }
      })
    );
    part("arrays, intervals, json, objects", () ->
      with(db -> {
        for (int run = 0; run < 7; run++) {
          equal(
            ((Array) one(db, "SELECT ?::int[]", db.createArrayOf("int4", new Integer[] { 1, null, -3 }))).getArray(),
            new Integer[] { 1, null, -3 }
          );
          equal(
            (
              (Array) one(db, "SELECT ?::text[]", db.createArrayOf("text", new String[] { "a", "q\"", null, "{x,y}", "" }))
            ).getArray(),
            new String[] { "a", "q\"", null, "{x,y}", "" }
          );
          equal(
            one(db, "SELECT ?::interval", new PGInterval("1 year 2 mons -3 days 04:05:06.789")),
            new PGInterval("1 year 2 mons -3 days 04:05:06.789")
          );
        }
        PGobject json = new PGobject();
        json.setType("jsonb");
        json.setValue("{\"a\": [1, null]}");
        equal(one(db, "SELECT ?", json), json);
        equal(
          one(
            db,
            "SELECT count(*) FROM generate_series(1, 9) g WHERE g = ANY(?)",
            db.createArrayOf("int4", new Integer[] { 2, 4, 99 })
          ),
          2L
        );
      })
    );
    part("arrays of two dimensions", () ->
      with(db -> {
        Long[][] square = { { 1L, 2L }, { 3L, 4L } };
        for (int run = 0; run < 7; run++) {
          equal(((Array) one(db, "SELECT '{{1,2},{3,4}}'::int8[]")).getArray(), square);
          equal(((Array) one(db, "SELECT ?::int8[]", db.createArrayOf("int8", square))).getArray(), square);
        }
      })
    );
    part("tables, batches and generated keys", () ->
      with(db -> {
        try (Statement statement = db.createStatement()) {
          statement.execute(
            "CREATE TABLE jdbc_ports (id int PRIMARY KEY, name varchar(40) NOT NULL, depth numeric(6,2) DEFAULT 1.5)"
          );
          statement.execute(
            "CREATE TABLE jdbc_boats (id int PRIMARY KEY, port_id int REFERENCES jdbc_ports (id), label text UNIQUE, built date)"
          );
          equal(statement.executeUpdate("INSERT INTO jdbc_ports VALUES (1, 'Killybegs', 12.5), (2, 'Peniche', DEFAULT)"), 2);
        }
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO jdbc_boats VALUES (?, ?, ?, ?)")) {
          for (int i = 0; i < 300; i++) {
            insert.setInt(1, i);
            insert.setInt(2, 1 + (i % 2));
            insert.setString(3, "boat " + i);
            insert.setDate(4, i % 3 == 0 ? null : java.sql.Date.valueOf("2001-02-03"));
            insert.addBatch();
          }
          equal(Arrays.stream(insert.executeBatch()).sum(), 300);
        }
        try (
          PreparedStatement insert = db.prepareStatement("INSERT INTO jdbc_ports (id, name) VALUES (?, ?)", new String[] {
            "depth",
          })
        ) {
          insert.setInt(1, 3);
          insert.setString(2, "気仙沼");
          insert.executeUpdate();
          equal(rows(insert.getGeneratedKeys(), "depth"), "1.50");
        }
        equal(one(db, "INSERT INTO jdbc_ports (id, name) VALUES (?, ?) RETURNING id", 4, "Vigo"), 4);
      })
    );
    part("generated keys of serial columns", () ->
      with(db -> {
        db.createStatement().execute(
          "CREATE TABLE jdbc_notes (id serial PRIMARY KEY, note text, made timestamptz DEFAULT now())"
        );
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO jdbc_notes (note) VALUES (?)", 1)) {
          for (String note : new String[] { "a", "b" }) {
            insert.setString(1, note);
            insert.addBatch();
          }
          insert.executeBatch();
          equal(rows(insert.getGeneratedKeys(), "id", "note"), "1|a 2|b");
        }
        ResultSet column = db.getMetaData().getColumns(null, "public", "jdbc_notes", "id");
        equal(rows(column, "IS_AUTOINCREMENT", "TYPE_NAME"), "YES|serial");
        db.createStatement().execute("DROP TABLE jdbc_notes");
      })
    );
    part("rewritten batches", () ->
      with(
        db -> {
          try (PreparedStatement insert = db.prepareStatement("INSERT INTO jdbc_boats (id, label) VALUES (?, ?)")) {
            for (int i = 1000; i < 1100; i++) {
              insert.setInt(1, i);
              insert.setString(2, "b" + i);
              insert.addBatch();
            }
            insert.executeBatch();
          }
          equal(one(db, "SELECT count(*) FROM jdbc_boats WHERE id >= 1000"), 100L);
        },
        "reWriteBatchedInserts",
        "true"
      )
    );
    part("fetch size inside a transaction", () ->
      with(db -> {
        db.setAutoCommit(false);
        try (
          PreparedStatement statement = db.prepareStatement("SELECT id, label FROM jdbc_boats WHERE id < 300 ORDER BY id")
        ) {
          statement.setFetchSize(64);
          for (int run = 0; run < 7; run++) {
            ResultSet rows = statement.executeQuery();
            int count = 0;
            for (; rows.next(); count++) equal(rows.getInt(1), count);
            equal(count, 300);
          }
          ResultSet half = statement.executeQuery();
          half.next();
          half.close();
        }
        try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
          statement.setMaxRows(10);
          ResultSet rows = statement.executeQuery("SELECT id FROM jdbc_boats ORDER BY id");
          rows.last();
          equal(rows.getRow(), 10);
          rows.absolute(3);
          equal(rows.getInt(1), 2);
        }
        db.commit();
      })
    );
    part("server-prepared statements", () ->
      with(
        db -> {
          try (PreparedStatement statement = db.prepareStatement("SELECT name FROM jdbc_ports WHERE id = ?")) {
            for (int run = 1; run < 8; run++) {
              statement.setInt(1, 1 + (run % 2));
              equal(rows(statement.executeQuery(), "name"), run % 2 == 0 ? "Killybegs" : "Peniche");
              if (run == 1 || run == 7) equal(statement.unwrap(PGStatement.class).isUseServerPrepare(), run == 7);
            }
            equal(statement.getParameterMetaData().getParameterTypeName(1), "int4");
            ResultSetMetaData columns = statement.getMetaData();
            equal(
              List.of(
                columns.getColumnName(1),
                columns.getColumnTypeName(1),
                columns.getPrecision(1),
                columns.getTableName(1),
                columns.isNullable(1)
              ),
              List.of("name", "varchar", 40, "jdbc_ports", ResultSetMetaData.columnNoNulls)
            );
          }
          equal(
            (Long) one(db, "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT name%'") >= 1,
            true
          );
        },
        "prepareThreshold",
        "3"
      )
    );
    part("transactions and savepoints", () ->
      with(db -> {
        db.setAutoCommit(false);
        db.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        try (Statement statement = db.createStatement()) {
          equal(statement.executeUpdate("DELETE FROM jdbc_boats WHERE id >= 1000"), 100);
          Savepoint savepoint = db.setSavepoint("before it");
          fails(() -> statement.executeUpdate("INSERT INTO jdbc_ports VALUES (1, 'again')"), "23505");
          fails(() -> statement.executeQuery("SELECT 1"), "25P02");
          db.rollback(savepoint);
          db.releaseSavepoint(savepoint);
        }
        equal(one(db, "SHOW transaction_isolation"), "repeatable read");
        db.rollback();
        db.setAutoCommit(true);
        equal(one(db, "SELECT count(*) FROM jdbc_boats"), 400L);
        db.setReadOnly(true);
        db.setAutoCommit(false);
        fails(() -> db.createStatement().executeUpdate("DELETE FROM jdbc_boats"), "25006");
      })
    );
    part("autosave", () ->
      with(
        db -> {
          db.setAutoCommit(false);
          equal(one(db, "SELECT 1"), 1);
          fails(() -> one(db, "SELECT 1 / 0"), "22012");
          equal(one(db, "SELECT 2"), 2);
          db.rollback();
        },
        "autosave",
        "always"
      )
    );
    part("errors", () ->
      with(db -> {
        SQLException error = fails(() -> one(db, "SELECT nothing FROM jdbc_ports"), "42703");
        equal(((org.postgresql.util.PSQLException) error).getServerErrorMessage().getPosition(), 8);
        var violated = (
          (org.postgresql.util.PSQLException) fails(
            () -> db.createStatement().execute("INSERT INTO jdbc_boats VALUES (1, 2, 'x')"),
            "23505"
          )
        ).getServerErrorMessage();
        equal(
          List.of(violated.getTable(), violated.getConstraint(), violated.getDetail()),
          List.of("jdbc_boats", "jdbc_boats_pkey", "Key (id)=(1) already exists.")
        );
        fails(() -> one(db, "SELECT ?::int", "x"), "22P02");
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO jdbc_ports VALUES (?, 'p')")) {
          for (int id : new int[] { 70, 1, 71 }) {
            insert.setInt(1, id);
            insert.addBatch();
          }
          fails(insert::executeBatch, "23505");
        }
        equal(one(db, "SELECT count(*) FROM jdbc_ports WHERE id >= 70"), 0L);
      })
    );
    part("metadata: tables and columns", () ->
      with(db -> {
        DatabaseMetaData about = db.getMetaData();
        equal(
          List.of(about.getDatabaseProductName(), about.getDatabaseMajorVersion(), about.getUserName()),
          List.of("PostgreSQL", 15, System.getenv("PGUSER"))
        );
        equal(
          rows(about.getTables(null, "public", "jdbc_%", new String[] { "TABLE" }), "TABLE_NAME", "TABLE_TYPE"),
          "jdbc_boats|TABLE jdbc_ports|TABLE"
        );
        equal(
          rows(
            about.getColumns(null, "public", "jdbc_ports", "%"),
            "COLUMN_NAME",
            "TYPE_NAME",
            "COLUMN_SIZE",
            "DECIMAL_DIGITS",
            "IS_NULLABLE",
            "COLUMN_DEF",
            "DATA_TYPE"
          ),
          "id|int4|10|0|NO|null|4 name|varchar|40|0|NO|null|12 depth|numeric|6|2|YES|1.5|2"
        );
        equal(rows(about.getSchemas(null, "publi%"), "TABLE_SCHEM"), "public");
        equal(Arrays.asList(rows(about.getCatalogs(), "TABLE_CAT").split(" ")).contains(System.getenv("PGDATABASE")), true);
        equal(rows(about.getTableTypes(), "TABLE_TYPE").contains("FOREIGN TABLE"), true);
        equal(rows(about.getTypeInfo(), "TYPE_NAME", "DATA_TYPE").contains(" timestamptz|93 "), true);
        equal(rows(about.getTables(null, "pg_catalog", "pg_class", null), "TABLE_TYPE"), "SYSTEM TABLE");
        equal(rows(about.getFunctions(null, "pg_catalog", "upper"), "FUNCTION_NAME").isEmpty(), false);
        equal(rows(about.getProcedures(null, null, "none_such"), "PROCEDURE_NAME"), "");
        about.getColumnPrivileges(null, "public", "jdbc_ports", "%").close();
        equal(rows(about.getTablePrivileges(null, "public", "jdbc_ports"), "PRIVILEGE").contains("SELECT"), true);
        about.getUDTs(null, null, "%", null).close();
        equal(about.getSQLKeywords().contains("ilike"), true);
        equal(about.getMaxColumnNameLength(), 63);
      })
    );
    part("metadata: keys and indexes", () ->
      with(db -> {
        DatabaseMetaData about = db.getMetaData();
        equal(
          rows(about.getPrimaryKeys(null, "public", "jdbc_ports"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"),
          "id|1|jdbc_ports_pkey"
        );
        equal(
          rows(
            about.getImportedKeys(null, "public", "jdbc_boats"),
            "PKTABLE_NAME",
            "PKCOLUMN_NAME",
            "FKCOLUMN_NAME",
            "FK_NAME"
          ),
          "jdbc_ports|id|port_id|jdbc_boats_port_id_fkey"
        );
        equal(rows(about.getExportedKeys(null, "public", "jdbc_ports"), "FKTABLE_NAME", "UPDATE_RULE"), "jdbc_boats|3");
        equal(rows(about.getCrossReference(null, "public", "jdbc_ports", null, "public", "jdbc_boats"), "KEY_SEQ"), "1");
        equal(
          rows(about.getIndexInfo(null, "public", "jdbc_boats", true, false), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE"),
          "jdbc_boats_label_key|label|f jdbc_boats_pkey|id|f"
        );
        equal(
          rows(
            about.getBestRowIdentifier(null, "public", "jdbc_ports", DatabaseMetaData.bestRowSession, false),
            "COLUMN_NAME"
          ),
          "id"
        );
      })
    );
    part("CopyManager", () ->
      with(db -> {
        CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
        db.createStatement().execute("CREATE TABLE jdbc_copy (id int, note text)");
        equal(
          copy.copyIn("COPY jdbc_copy FROM STDIN (FORMAT csv)", new StringReader("1,one\n2,\"two, \"\"2\"\"\"\n3,\n")),
          3L
        );
        StringWriter text = new StringWriter();
        equal(copy.copyOut("COPY (SELECT * FROM jdbc_copy ORDER BY id) TO STDOUT", text), 3L);
        equal(text.toString(), "1\tone\n2\ttwo, \"2\"\n3\t\\N\n");
        ByteArrayOutputStream binary = new ByteArrayOutputStream();
        copy.copyOut("COPY jdbc_copy TO STDOUT WITH BINARY", binary);
        equal(copy.copyIn("COPY jdbc_copy FROM STDIN WITH BINARY", new ByteArrayInputStream(binary.toByteArray())), 3L);
        fails(() -> copy.copyIn("COPY jdbc_copy FROM STDIN", new StringReader("x\ty\n")), "22P02");
        var half = copy.copyIn("COPY jdbc_copy FROM STDIN");
        half.writeToCopy("9\tnine\n".getBytes(StandardCharsets.UTF_8), 0, 7);
        half.cancelCopy();
        equal(one(db, "SELECT count(*) FROM jdbc_copy"), 6L);
      })
    );
    part("cancel and time limits", () ->
      with(db -> {
        try (Statement statement = db.createStatement()) {
          Thread canceller = new Thread(() -> {
            try {
              TimeUnit.MILLISECONDS.sleep(300);
              statement.cancel();
            } catch (Exception ignored) {
              Thread.currentThread().interrupt();
            }
          });
          canceller.start();
          fails(() -> statement.executeQuery(LONG), "57014");
          canceller.join();
          statement.setQueryTimeout(1);
          fails(() -> statement.executeQuery(LONG), "57014");
          equal(one(db, "SELECT 1"), 1);
        }
      })
    );
    part("LISTEN and NOTIFY", () ->
      with(listener ->
        with(sender -> {
          listener.createStatement().execute("LISTEN jdbc_news");
          sender.createStatement().execute("NOTIFY jdbc_news, 'hello'");
          PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(5000);
          equal(
            heard.length +
              heard[0].getName() +
              heard[0].getParameter() +
              (heard[0].getPID() == sender.unwrap(PGConnection.class).getBackendPID()),
            "1jdbc_newshellotrue"
          );
        })
      )
    );
    part("warnings, schema, validity", () ->
      with(
        db -> {
          try (Statement statement = db.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_none");
            equal(statement.getWarnings().getSQLState(), "00000");
          }
          equal(
            List.of(db.getSchema(), db.getCatalog(), db.isValid(2)),
            List.of("public", System.getenv("PGDATABASE"), true)
          );
          db.setSchema("pg_catalog");
          equal(db.getSchema(), "pg_catalog");
        },
        "ApplicationName",
        "jdbc check",
        "options",
        "-c statement_timeout=90s"
      )
    );
    part("several statements at once", () ->
      with(db -> {
        try (Statement statement = db.createStatement()) {
          equal(statement.execute("SELECT 1; SELECT 2; UPDATE jdbc_ports SET name = name WHERE id = 1"), true);
          equal(statement.getMoreResults(), true);
          equal(statement.getMoreResults(), false);
          equal(statement.getUpdateCount(), 1);
          for (String table : new String[] { "jdbc_copy", "jdbc_boats", "jdbc_ports" })
            statement.execute("DROP TABLE " + table);
        }
      })
    );
    System.exit(failed ? 1 : 0);
  }
}
