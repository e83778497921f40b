(define seen '())
(define (note x) (set! seen (cons x seen)))
(define (take-seen) (run-finalizers) (let ((all (sort seen <))) (set! seen '()) all))

(define objects (map list (iota 200)))
(for-each (lambda (o) (finalize o (lambda (o) (note (car o))))) objects)
(gc)
(check "none while they live" (take-seen) '())
(set! objects (filter (lambda (o) (odd? (car o))) objects))
(gc)
(check "those that died, each once" (take-seen) (filter even? (iota 200)))
(gc)
(check "and never again" (take-seen) '())
(set! objects '())
(gc)
(check "the others" (take-seen) (filter odd? (iota 200)))

; An object that its finalizer brings back lives on, and may be given a finalizer again.
(define back #f)
(finalize (list 'phoenix) (lambda (o) (set! back o)))
(gc)
(run-finalizers)
(gc)
(check "brought back whole" back '(phoenix))
(finalize back (lambda (o) (note 1)))
(set! back #f)
(gc)
(check "a second life ends too" (take-seen) '(1))

; What a finalizable object points to is there when its finalizer runs.
(finalize (list 1 (vector 2 (list 3))) (lambda (o) (note (car (vector-ref (cadr o) 1)))))
(gc)
(check "with all it refers to" (take-seen) '(3))

; What is due waits through any number of collections.
(define (litter) (length (map (lambda (i) (vector i)) (iota 3000))))
(begin
  (finalize (list 4 (vector 5)) (lambda (o) (note (car o)) (note (vector-ref (cadr o) 0))))
  (gc)
  (gc)
  (litter)
  (check "later" (take-seen) '(4 5)))

; Two that know each other die together.
(let ((a (list 1 #f)) (b (list 2 #f)))
  (set-car! (cdr a) b)
  (set-car! (cdr b) a)
  (finalize a (lambda (o) (note (car o))))
  (finalize b (lambda (o) (note (car o)))))
(gc)
(check "rings" (take-seen) '(1 2))

(let ((x (list 5)))
  (finalize x (lambda (o) (note 10)))
  (finalize x (lambda (o) (note 11))))
(gc)
(check "two for one object" (take-seen) '(10 11))

; A weak table still has the entry of an object that is to be finalized.
(define names (make-weak-table))
(let ((x (list 6)))
  (table-set! names x "six")
  (finalize x (lambda (o) (note (if (equal? (table-ref names o) "six") 6 0)))))
(gc)
(check "weak entry during finalization" (take-seen) '(6))
(gc)
(check "and not after it" (table-count names) 0)

; Mutexes and events are given back by the disclaim hook of their kind when their span is swept.
(define before (natives-released))
(for-each (lambda (i) (make-mutex) (make-event)) (iota 5000))
(gc)
(check "natives are released" (> (- (natives-released) before) 9000) #t)
(check-error "only what can die" (lambda () (finalize 1 list)) "finalize: not an object that can die")
(summary)
