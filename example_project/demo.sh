#!/bin/sh
# The example from an empty database to a sent newsletter, each command shown before it runs.
# PYTHON is the interpreter to use; DATABASE_URL another database than SQLite.

set -eu
cd "$(dirname "$0")"
python="${PYTHON:-python}"
export DEBUG=0

step() { printf '\n\033[1m# %s\033[0m\n' "$1"; }
manage() {
	printf '$ python manage.py'
	for word in "$@"; do
		case "$word" in *[!A-Za-z0-9_./=:-]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
	done
	printf '\n'
	"$python" manage.py "$@"
}

step 'Make the tables, and something to work with'
manage migrate --verbosity 0
manage demo_data

step 'Run a task here and now'
manage task HelloWorldTask --name='Tom Jones'

step 'Put tasks on their queues'
manage task HelloWorldTask --name=Tom --enqueue=yes
manage task SendNewsletterTask --newsletter=1 --enqueue=yes
manage task ImportSubscribersTask --file=subscribers.csv --enqueue=yes
manage task ImportSubscribersTask --file=lost.csv --enqueue=yes
manage task FetchPartnerNewsTask --enqueue=yes

step 'Work all queues until nothing is due'
manage taskqueue_run '*' --once

step 'The partner did not answer; its retries are due after one and two seconds'
sleep 2
manage taskqueue_run '*' --once --verbosity 0
sleep 3
manage taskqueue_run '*' --once --verbosity 0

step 'One task runs by itself, every night'
manage schedule_list

step 'What came of it'
manage demo_report

step 'Look around'
cat <<'END'
  cd example_project
  ../.venv/bin/python manage.py runserver            # http://127.0.0.1:8000/ and /admin/ (admin / admin)
  ../.venv/bin/python manage.py taskqueue_run '*'    # in a second terminal: a worker that stays

Subscribe on the front page and watch the worker send the welcome mail. In the admin open the
import that failed, choose "Requeue as new", and change its file to subscribers.csv.
END
