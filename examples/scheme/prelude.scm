; What is written in Scheme itself. It calls procedures, which primitives in C never do: so the machine need not be entered twice,
; and tail calls and the limit of recursion hold in map and apply as everywhere.

(define (not x) (eq? x #f))
(define (null? x) (eq? x '()))
(define (boolean? x) (or (eq? x #t) (eq? x #f)))
(define (list? x) (or (null? x) (and (pair? x) (list? (cdr x)))))
(define (zero? n) (= n 0))
(define (positive? n) (> n 0))
(define (negative? n) (< n 0))
(define (even? n) (= (remainder n 2) 0))
(define (odd? n) (not (even? n)))
(define (abs n) (if (< n 0) (- n) n))
(define (min a b) (if (< a b) a b))
(define (max a b) (if (> a b) a b))

(define (caar x) (car (car x)))
(define (cadr x) (car (cdr x)))
(define (cdar x) (cdr (car x)))
(define (cddr x) (cdr (cdr x)))
(define (caddr x) (car (cddr x)))
(define (list-tail list n) (if (= n 0) list (list-tail (cdr list) (- n 1))))
(define (list-ref list n) (car (list-tail list n)))

; Results are made in reverse and turned round, so that long lists need no deep recursion.
(define (reverse-onto list end)
  (if (null? list) end (reverse-onto (cdr list) (cons (car list) end))))

(define (append . lists)
  (let loop ((left (reverse lists)) (result '()))
    (cond ((null? left) result)
          ((null? result) (loop (cdr left) (car left)))
          (else (loop (cdr left) (reverse-onto (reverse (car left)) result))))))

(define (map1 f list)
  (let loop ((list list) (done '()))
    (if (null? list) (reverse done) (loop (cdr list) (cons (f (car list)) done)))))

(define (any-null? lists) (and (pair? lists) (or (null? (car lists)) (any-null? (cdr lists)))))

(define (map f first . others)
  (if (null? others)
      (map1 f first)
      (let loop ((lists (cons first others)) (done '()))
        (if (any-null? lists)
            (reverse done)
            (loop (map1 cdr lists) (cons (apply f (map1 car lists)) done))))))

(define (for-each f list)
  (when (pair? list)
    (f (car list))
    (for-each f (cdr list))))

(define (filter keep? list)
  (let loop ((list list) (done '()))
    (cond ((null? list) (reverse done))
          ((keep? (car list)) (loop (cdr list) (cons (car list) done)))
          (else (loop (cdr list) done)))))

(define (fold f start list) (if (null? list) start (fold f (f (car list) start) (cdr list))))

(define (iota n)
  (let loop ((i (- n 1)) (list '()))
    (if (< i 0) list (loop (- i 1) (cons i list)))))

(define (memq x list) (and (pair? list) (if (eq? x (car list)) list (memq x (cdr list)))))
(define (member x list) (and (pair? list) (if (equal? x (car list)) list (member x (cdr list)))))
(define (assq x list) (and (pair? list) (if (eq? x (caar list)) (car list) (assq x (cdr list)))))
(define (assoc x list) (and (pair? list) (if (equal? x (caar list)) (car list) (assoc x (cdr list)))))

(define (equal? a b)
  (cond ((eqv? a b) #t)
        ((pair? a) (and (pair? b) (equal? (car a) (car b)) (equal? (cdr a) (cdr b))))
        ((string? a) (and (string? b) (string=? a b)))
        ((vector? a) (and (vector? b) (equal? (vector->list a) (vector->list b))))
        (else #f)))

; Merge sort; equal elements keep their order.
(define (sort list less?)
  (define (merge a b done)
    (cond ((null? a) (reverse-onto done b))
          ((null? b) (reverse-onto done a))
          ((less? (car b) (car a)) (merge a (cdr b) (cons (car b) done)))
          (else (merge (cdr a) b (cons (car a) done)))))
  (define (first-n list n done)
    (if (= n 0) (reverse done) (first-n (cdr list) (- n 1) (cons (car list) done))))
  (define (sort-n list n)
    (if (< n 2)
        list
        (let ((half (quotient n 2)))
          (merge (sort-n (first-n list half '()) half) (sort-n (list-tail list half) (- n half)) '()))))
  (sort-n list (length list)))

(define (vector-fill! v x)
  (do ((i 0 (+ i 1))) ((= i (vector-length v)))
    (vector-set! v i x)))

(define (vector->list v)
  (let loop ((i (- (vector-length v) 1)) (list '()))
    (if (< i 0) list (loop (- i 1) (cons (vector-ref v i) list)))))

(define (list->vector list)
  (let ((v (make-vector (length list))))
    (let loop ((i 0) (list list))
      (if (null? list)
          v
          (begin (vector-set! v i (car list)) (loop (+ i 1) (cdr list)))))))

(define (string=? a b) (= (string-compare a b) 0))
(define (string<? a b) (< (string-compare a b) 0))
(define number->string text)

(define (string->list s)
  (let loop ((i (- (string-length s) 1)) (list '()))
    (if (< i 0) list (loop (- i 1) (cons (string-ref s i) list)))))

(define (list->string list)
  (let ((s (make-string (length list))))
    (let loop ((i 0) (list list))
      (if (null? list)
          s
          (begin (string-set! s i (car list)) (loop (+ i 1) (cdr list)))))))

(define (newline) (display "\n"))
(define (print . things) (for-each display things) (newline))

(define (condition-message c) (condition-part c 0))
(define (condition-irritants c) (condition-part c 1))
(define (condition-file c) (condition-part c 2))
(define (condition-line c) (condition-part c 3))

(define (eval datum) ((compile datum)))

; The value of a thunk that is called with the mutex held; given back also if it fails.
(define (with-mutex mutex thunk)
  (lock mutex)
  (let ((result (try (thunk) (lambda (c) (unlock mutex) (raise c)))))
    (unlock mutex)
    result))

; Channels: a queue between threads, made of a mutex and an event. Fields: front, back, mutex, event.
(define (make-channel) (vector '() '() (make-mutex) (make-event)))

(define (send channel x)
  (with-mutex (vector-ref channel 2)
    (lambda ()
      (vector-set! channel 1 (cons x (vector-ref channel 1)))
      (notify (vector-ref channel 3)))))

(define (receive channel)
  (define (take)
    (cond ((pair? (vector-ref channel 0))
           (let ((front (vector-ref channel 0)))
             (vector-set! channel 0 (cdr front))
             (car front)))
          ((pair? (vector-ref channel 1))
           (vector-set! channel 0 (reverse (vector-ref channel 1)))
           (vector-set! channel 1 '())
           (take))
          (else
           (wait (vector-ref channel 3) (vector-ref channel 2))
           (take))))
  (with-mutex (vector-ref channel 2) take))

; Calls every finalizer that is due; how many.
(define (run-finalizers)
  (let loop ((count 0))
    (let ((due (next-finalizer)))
      (if due
          (begin ((cdr due) (car due)) (loop (+ count 1)))
          count))))
