; The same work for each of 1, 2, 4 ... threads: lists, strings and closures that die at once, a tree for each that lives, and a
; table that all share under a mutex. With as many processors as threads the time stays the same but for the pauses.
;   scheme --threads=8 --define=rounds=5000 bench/threads.scm

(define most (option 'threads 4))
(define rounds (option 'rounds 1000))

(define (make d) (if (= d 0) '() (cons (make (- d 1)) (make (- d 1)))))
(define (nodes tree) (if (null? tree) 1 (+ 1 (nodes (car tree)) (nodes (cdr tree)))))

(define mutex (make-mutex))
(define table (make-table))
(define (count-word! word)
  (with-mutex mutex (lambda () (table-set! table word (+ 1 (table-ref table word 0))))))

(define (one-round i)
  (let ((words (map (lambda (j) (string-append "word" (text (remainder (+ i j) 10)))) (iota 50))))
    (count-word! (string->symbol (car words)))
    (fold + 0 (map (lambda (f) (f 1)) (map (lambda (w) (lambda (x) (+ x (string-length w)))) words)))
    (nodes (make 7))))

(define (work)
  (let ((kept (make 12)))
    (do ((i 0 (+ i 1))) ((= i rounds))
      (one-round i))
    (nodes kept)))

(do ((n 1 (* n 2))) ((> n most))
  (let ((start (seconds)) (before (collections)))
    (for-each (lambda (t) (unless (= (join t) 8191) (error "a tree has changed")))
              (map (lambda (i) (spawn work)) (iota n)))
    (print n (if (= n 1) " thread: " " threads: ") (floor (* 1000 (- (seconds) start))) " ms, "
           (- (collections) before) " collections")))

(define (threads-started n) (if (> n most) 0 (+ n (threads-started (* n 2)))))
(unless (= (fold + 0 (map (lambda (w) (table-ref table w)) (table-keys table))) (* rounds (threads-started 1)))
  (error "counts are lost"))
