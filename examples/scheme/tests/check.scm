; The assertions of the scripts beside this one: scheme check.scm lists.scm. A script ends with (summary).

(define checks 0)
(define failures 0)

(define (check name got wanted)
  (set! checks (+ checks 1))
  (unless (equal? got wanted)
    (set! failures (+ failures 1))
    (print "FAILED: " name ": " got " instead of " wanted)))

; The message of the error that the thunk must end with.
(define (check-error name thunk message)
  (check name
         (try (begin (thunk) 'no-error) (lambda (c) (if (condition? c) (condition-message c) c)))
         message))

(define (summary)
  (print checks " checks, " failures " failures")
  (exit (if (and (= failures 0) (> checks 0)) 0 1)))
