; Complete trees of pairs of every second depth, each made, counted and dropped, beside one that lives throughout.
;   scheme --define=depth=18 bench/binary-trees.scm

(define depth (option 'depth 14))
(define least 4)

(define (make d) (if (= d 0) '() (cons (make (- d 1)) (make (- d 1)))))
(define (nodes tree) (if (null? tree) 1 (+ 1 (nodes (car tree)) (nodes (cdr tree)))))
(define (power n) (if (= n 0) 1 (* 2 (power (- n 1)))))

(define (trees d count)
  (let loop ((i 0) (sum 0))
    (if (= i count)
        (print count " trees of depth " d ": " sum " nodes")
        (loop (+ i 1) (+ sum (nodes (make d)))))))

(define start (seconds))
(print "stretch: " (nodes (make (+ depth 1))) " nodes")
(define long-lived (make depth))
(do ((d least (+ d 2))) ((> d depth))
  (trees d (power (- (+ depth least) d))))
(print "long-lived: " (nodes long-lived) " nodes")
(print "in all: " (floor (* 1000 (- (seconds) start))) " ms, " (collections) " collections")
