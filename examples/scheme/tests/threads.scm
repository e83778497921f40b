(define (work n)
  (let loop ((i 0) (list '()))
    (if (= i n) (fold + 0 list) (loop (+ i 1) (cons i list)))))
(define threads (map (lambda (i) (spawn (lambda () (work (+ 20000 i))))) (iota 4)))
(check "results" (map join threads) (map (lambda (i) (work (+ 20000 i))) (iota 4)))
(check "join again" (join (car threads)) (work 20000))
(check "an error goes to whoever joins" (try (join (spawn (lambda () (car 'x)))) condition-message) "a pair is wanted")
(check "closures see the spawner's variables" (let ((x 5)) (join (spawn (lambda () (* x 2))))) 10)
(check "deep recursion in a thread" (try (join (spawn (lambda () (let loop () (+ 1 (loop)))))) condition-message) "recursion too deep")

; A counter that several threads share
(define mutex (make-mutex))
(define total 0)
(define (add-many n)
  (do ((i 0 (+ i 1))) ((= i n))
    (with-mutex mutex (lambda () (set! total (+ total 1))))))
(for-each join (map (lambda (i) (spawn (lambda () (add-many 3000)))) (iota 4)))
(check "nothing is lost" total 12000)
(check-error "unlock without lock" (lambda () (unlock mutex)) "the mutex is not held by this thread")
(check-error "lock twice" (lambda () (with-mutex mutex (lambda () (lock mutex)))) "the mutex is held by this thread already")
(check-error "join of itself" (lambda () (join (let ((me (make-channel))) (define t (spawn (lambda () (join (receive me))))) (send me t) t)))
             "join: a thread cannot wait for itself")

; Producers and consumers
(define channel (make-channel))
(define results (make-channel))
(define consumers
  (map (lambda (i) (spawn (lambda () (let loop ((sum 0)) (let ((x (receive channel))) (if x (loop (+ sum (car x))) sum)))))) (iota 2)))
(define producers (map (lambda (k) (spawn (lambda () (for-each (lambda (i) (send channel (list i))) (iota 1000))))) (iota 3)))
(for-each join producers)
(for-each (lambda (c) (send channel #f)) consumers)
(check "every message arrives once" (fold + 0 (map join consumers)) (* 3 (fold + 0 (iota 1000))))

; Collections while others allocate, wait, sleep and compute without allocating
(define stop #f)
(define sleeper (spawn (lambda () (sleep 30) 'slept)))
(define waiter (spawn (lambda () (receive results))))
(define spinner (spawn (lambda () (let loop ((i 0)) (if (< i 300000) (loop (+ i 1)) i)))))
(define builder (spawn (lambda () (let loop ((i 0) (kept '())) (if (= i 30000) (length kept) (loop (+ i 1) (if (= 0 (remainder i 3)) (cons (list i i) kept) kept)))))))
(do ((i 0 (+ i 1))) ((= i 20)) (gc))
(send results 'woken)
(check "all of them" (map join (list sleeper waiter spinner builder)) '(slept woken 300000 10000))

; Short-lived threads, some never joined; their objects and symbols are everybody's.
(define (generation n) (map (lambda (i) (spawn (lambda () (string->symbol (string-append "s" (text i)))))) (iota n)))
(check "symbols are the same everywhere" (map (lambda (a b) (eq? (join a) (join b))) (generation 8) (generation 8)) (map (lambda (i) #t) (iota 8)))
(generation 8)
(gc)
(summary)
