; GCBench, after Ellis, Kovac and Boehm: binary trees made from the top and from the bottom, of several depths, while a large tree
; and a large vector of numbers live.
;   scheme --define=depth=18 bench/gcbench.scm

(define depth (option 'depth 16))

(define (power n) (if (= n 0) 1 (* 2 (power (- n 1)))))
(define (tree-size d) (- (power (+ d 1)) 1))
(define (rounds d) (quotient (* 2 (tree-size depth)) (tree-size d)))

; A node is left, right and two numbers nobody looks at.
(define (make-node left right) (vector left right 0 0))

(define (populate d node)
  (when (> d 0)
    (vector-set! node 0 (make-node #f #f))
    (vector-set! node 1 (make-node #f #f))
    (populate (- d 1) (vector-ref node 0))
    (populate (- d 1) (vector-ref node 1))))

(define (top-down d)
  (let ((root (make-node #f #f)))
    (populate d root)
    root))

(define (bottom-up d)
  (if (= d 0)
      (make-node #f #f)
      (make-node (bottom-up (- d 1)) (bottom-up (- d 1)))))

(define (count-nodes node)
  (if node
      (+ 1 (count-nodes (vector-ref node 0)) (count-nodes (vector-ref node 1)))
      0))

(define (repeat make d)
  (do ((i (rounds d) (- i 1))) ((= i 0))
    (make d)))

(define (time name thunk)
  (let ((start (seconds)) (before (collections)))
    (thunk)
    (print name ": " (floor (* 1000 (- (seconds) start))) " ms, " (- (collections) before) " collections")))

(define start (seconds))
(time (string-append "stretch, depth " (text (+ depth 1))) (lambda () (bottom-up (+ depth 1))))
(define long-lived (top-down depth))
(define numbers (make-vector (* 16 (power depth)) 0))
(do ((i 1 (+ i 1))) ((= i (quotient (vector-length numbers) 2)))
  (vector-set! numbers i (/ 1.0 i)))

(do ((d 4 (+ d 4))) ((> d depth))
  (time (string-append (text (rounds d)) " of depth " (text d) ", top down") (lambda () (repeat top-down d)))
  (time (string-append (text (rounds d)) " of depth " (text d) ", bottom up") (lambda () (repeat bottom-up d))))

(unless (and (= (count-nodes long-lived) (tree-size depth)) (= (vector-ref numbers 1000) 0.001))
  (error "what should live has changed"))
(print "in all: " (floor (* 1000 (- (seconds) start))) " ms, " (collections) " collections, " (live-bytes) " bytes live")
