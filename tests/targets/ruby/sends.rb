# SPDX-License-Identifier: LGPL-2.1-or-later
# ruby-pg: known numbers of statements, then connections that are closed, or kept until the process is killed.
#     sends.rb leaks|closes ROUNDS
require "pg"

# Its parameters do not come from the environment unless none is given.
def opens = PG.connect

def asks(connection) = connection.exec("SELECT n FROM generate_series(1, 3) n") { |result| result.to_a }

def executes(connection, number) = connection.exec_prepared("series", [number, number + 1]) { |result| result.to_a }

def fails(connection)
  connection.exec("SELECT missing")
rescue PG::UndefinedColumn
  nil
end

connection = opens
4.times { asks(connection) }
connection.prepare("series", "SELECT n FROM generate_series($1::int, $2::int) n WHERE n > 0")
6.times { |number| executes(connection, number + 1) }
fails(connection)
connection.close

kept = []
ARGV[1].to_i.times do
  one = opens
  one.exec("SELECT 1").clear
  ARGV[0] == "leaks" ? kept << one : one.close
end
Process.kill(:KILL, Process.pid) # at an end of its own it would close them all
