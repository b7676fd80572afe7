// The service as a Go programmer would write it: net/http and database/sql, each statement prepared once.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/go-sql-driver/mysql"
)

const poolSize = 10

var username = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

func main() {
	config := mysql.NewConfig()
	config.Net = "tcp"
	config.Addr = net.JoinHostPort(os.Getenv("DATABASE_HOST"), os.Getenv("DATABASE_PORT"))
	config.User = os.Getenv("DATABASE_USERNAME")
	config.Passwd = os.Getenv("DATABASE_PASSWORD")
	config.DBName = os.Getenv("DATABASE_NAME")
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(poolSize)
	// The default of two would open and close connections all the time.
	db.SetMaxIdleConns(poolSize)

	find := prepare(db, "SELECT date_of_birth FROM users WHERE username = ?")
	save := prepare(db, "INSERT INTO users (username, date_of_birth) VALUES (?, ?) "+
		"ON DUPLICATE KEY UPDATE date_of_birth = VALUES(date_of_birth)")

	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{username}", func(response http.ResponseWriter, request *http.Request) {
		name := request.PathValue("username")
		if !username.MatchString(name) {
			send(response, http.StatusBadRequest, map[string]string{"error": "username"})
			return
		}
		var dateOfBirth string
		err := find.QueryRowContext(request.Context(), name).Scan(&dateOfBirth)
		if errors.Is(err, sql.ErrNoRows) {
			send(response, http.StatusNotFound, map[string]string{"error": "unknown"})
			return
		}
		if err != nil {
			send(response, http.StatusInternalServerError, map[string]string{"error": "database"})
			return
		}
		born, err := time.Parse(time.DateOnly, dateOfBirth)
		if err != nil {
			send(response, http.StatusInternalServerError, map[string]string{"error": "date"})
			return
		}
		send(response, http.StatusOK, map[string]string{"message": greeting(name, born, today())})
	})
	mux.HandleFunc("PUT /hello/{username}", func(response http.ResponseWriter, request *http.Request) {
		name := request.PathValue("username")
		var body struct {
			DateOfBirth string `json:"dateOfBirth"`
		}
		if !username.MatchString(name) || json.NewDecoder(request.Body).Decode(&body) != nil {
			send(response, http.StatusBadRequest, map[string]string{"error": "body"})
			return
		}
		born, err := time.Parse(time.DateOnly, body.DateOfBirth)
		if err != nil || !born.Before(today()) || born.Year() < 1000 {
			send(response, http.StatusBadRequest, map[string]string{"error": "body"})
			return
		}
		if _, err := save.ExecContext(request.Context(), name, body.DateOfBirth); err != nil {
			send(response, http.StatusInternalServerError, map[string]string{"error": "database"})
			return
		}
		response.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), mux))
}

func prepare(db *sql.DB, query string) *sql.Stmt {
	statement, err := db.Prepare(query)
	if err != nil {
		log.Fatal(err)
	}
	return statement
}

func send(response http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	_, _ = response.Write(body)
}

func today() time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour)
}

func greeting(name string, born, today time.Time) string {
	// time.Date carries 29 February of a common year over to 1 March, which is the rule wanted here.
	next := time.Date(today.Year(), born.Month(), born.Day(), 0, 0, 0, 0, time.UTC)
	if next.Before(today) {
		next = time.Date(today.Year()+1, born.Month(), born.Day(), 0, 0, 0, 0, time.UTC)
	}
	if next.Equal(today) {
		return fmt.Sprintf("Hello, %s! Happy birthday!", name)
	}
	return fmt.Sprintf("Hello, %s! Your birthday is in %d day(s)", name, int(next.Sub(today).Hours()/24))
}
